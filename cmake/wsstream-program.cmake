# C programs over the header, and how ctest runs them: one beside a test server of its own, with a deadline.
find_package(Threads REQUIRED)
find_package(Python3 REQUIRED COMPONENTS Interpreter)

set(wsstream_with_server "${PROJECT_SOURCE_DIR}/scripts/with-server")

# The test server, as Cargo's own tests build it.
set(wsstream_workspace_target_dir "${PROJECT_SOURCE_DIR}/target")
if(DEFINED ENV{CARGO_TARGET_DIR})
  set(wsstream_workspace_target_dir "$ENV{CARGO_TARGET_DIR}")
endif()
set(wsstream_test_server "${wsstream_workspace_target_dir}/debug/wsstream-test-server")
if(WSSTREAM_TESTS)
  add_custom_target(wsstream_test_server ALL
    COMMAND "${WSSTREAM_CARGO}" build --quiet --locked --package wsstream-test-server
            --target-dir "${wsstream_workspace_target_dir}"
    WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}"
    BYPRODUCTS "${wsstream_test_server}"
    COMMENT "Building the test server with Cargo"
    USES_TERMINAL
    VERBATIM)
endif()

# wsstream_add_program(NAME SOURCE [LIBRARY]): a program that links the library, in C99 without warnings. Tests name
# wsstream::tested.
function(wsstream_add_program name source)
  set(library wsstream::wsstream)
  if(ARGC GREATER 2)
    set(library ${ARGV2})
  endif()
  add_executable(${name} "${source}")
  target_link_libraries(${name} PRIVATE ${library} Threads::Threads ${CMAKE_DL_LIBS})
  target_compile_definitions(${name} PRIVATE _POSIX_C_SOURCE=200809L)
  target_compile_options(${name} PRIVATE -Wall -Wextra -Werror -pedantic -g)
  set_target_properties(${name} PROPERTIES C_STANDARD 99 C_STANDARD_REQUIRED ON C_EXTENSIONS OFF)
  wsstream_sanitize(${name})
endfunction()

# The schemes that each test runs over. Tests of the second and further ones have it in their name, NAME.wss.
set(wsstream_test_schemes ws wss)

# wsstream_add_test(NAME SECONDS [SCHEME scheme] COMMAND...): a test beside a server, over each scheme or that one. ctest's
# own limit is the outer one and never the first to strike: with-server says more about what it ends. Sets
# wsstream_tests to what it added.
function(wsstream_add_test name seconds)
  cmake_parse_arguments(PARSE_ARGV 2 argument "" SCHEME "")
  math(EXPR outer "${seconds} + 30")
  math(EXPR inner "${seconds} - 5")
  set(schemes ${wsstream_test_schemes})
  if(argument_SCHEME)
    set(schemes ${argument_SCHEME})
  endif()
  set(tests "")
  foreach(scheme IN LISTS schemes)
    set(test "${name}.${scheme}")
    string(REGEX REPLACE "\\.ws$" "" test "${test}")
    add_test(NAME ${test}
      COMMAND Python3::Interpreter "${wsstream_with_server}" --deadline ${seconds} --scheme ${scheme}
              ${argument_UNPARSED_ARGUMENTS})
    set_tests_properties(${test} PROPERTIES TIMEOUT ${outer} LABELS ${scheme}
      ENVIRONMENT "WSSTREAM_TEST_DEADLINE_S=${inner};WSSTREAM_TEST_SERVER=${wsstream_test_server};${wsstream_sanitize_environment}")
    list(APPEND tests ${test})
  endforeach()
  set(wsstream_tests ${tests} PARENT_SCOPE)
endfunction()

# Under valgrind these run over ws as well, where messages are received another way. The others run over wss alone, which
# reaches all else that ws does.
set(wsstream_memcheck_both c.messages c.parts c.random_calls c.stress c.waiting)

# wsstream_add_program_test(PROGRAM [ARGUMENTS...]): runs a program as it is, and under valgrind if that is asked for.
function(wsstream_add_program_test name)
  wsstream_add_test(${name} 65 $<TARGET_FILE:${name}> ${ARGN})
  if(WSSTREAM_MEMCHECK)
    find_program(WSSTREAM_VALGRIND valgrind REQUIRED)
    set(scheme SCHEME wss)
    if(name IN_LIST wsstream_memcheck_both)
      set(scheme "")
    endif()
    wsstream_add_test(${name}.memcheck 305 ${scheme} "${WSSTREAM_VALGRIND}" --quiet --error-exitcode=99 --leak-check=full
      --show-leak-kinds=definite --errors-for-leak-kinds=definite --fair-sched=yes
      "--suppressions=${PROJECT_SOURCE_DIR}/tests/c/memcheck.supp" $<TARGET_FILE:${name}> ${ARGN})
    set_property(TEST ${wsstream_tests} APPEND PROPERTY LABELS memcheck)
    # Everything takes many times as long there, and one thread runs at a time.
    set_property(TEST ${wsstream_tests} APPEND PROPERTY ENVIRONMENT "WSSTREAM_TEST_STEPS=200")
  endif()
endfunction()
