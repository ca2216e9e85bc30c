# The C programs under sanitizers: WSSTREAM_SANITIZE is `address` (AddressSanitizer, LeakSanitizer and
# UndefinedBehaviorSanitizer), `thread` (ThreadSanitizer, for the library as well) or OFF.
#
# There are no suppressions. What ThreadSanitizer does not see, the assembly of the cryptography and the kernel, orders
# nothing between threads: not seeing it hides races inside it and invents none.

set(wsstream_sanitize_environment "")
if(WSSTREAM_SANITIZE STREQUAL "address")
  set(wsstream_sanitize_environment
    "ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1"
    "UBSAN_OPTIONS=print_stacktrace=1")
elseif(WSSTREAM_SANITIZE STREQUAL "thread")
  # die_after_fork: the child of a fork may open streams of its own, and the library starts threads for them.
  set(wsstream_sanitize_environment "TSAN_OPTIONS=halt_on_error=1:die_after_fork=0:history_size=4")
elseif(WSSTREAM_SANITIZE)
  message(FATAL_ERROR "WSSTREAM_SANITIZE is ${WSSTREAM_SANITIZE}, not address, thread or OFF")
endif()

# wsstream_sanitize(TARGET): builds a program so.
function(wsstream_sanitize name)
  if(WSSTREAM_SANITIZE STREQUAL "address")
    set(sanitizers -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_compile_options(${name} PRIVATE ${sanitizers})
    target_link_options(${name} PRIVATE ${sanitizers})
  elseif(WSSTREAM_SANITIZE STREQUAL "thread")
    target_compile_options(${name} PRIVATE -fsanitize=thread -fno-omit-frame-pointer)
    # The program has the one runtime, which the library finds there.
    target_link_libraries(${name} PRIVATE
      -Wl,--whole-archive "${wsstream_thread_runtime}" -Wl,--no-whole-archive Threads::Threads ${CMAKE_DL_LIBS} m rt)
    set_target_properties(${name} PROPERTIES ENABLE_EXPORTS ON)
  endif()
endfunction()
