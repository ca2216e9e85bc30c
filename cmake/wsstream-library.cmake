# The libraries, made by Cargo. wsstream::wsstream is what is installed, and wsstream::wsstream_static the same to be linked into
# a program. wsstream::tested has the feature `dump`: when the deadline of a test program is over, it writes what every stream
# stands on; it is not optimised as a whole, which takes half as long again. With ThreadSanitizer both are one library, in which
# Rust's own standard library is compiled anew, since a race shows only between instrumented instructions.
#
# `cargo rustc --crate-type` and not `cargo build`: with rlib among the crate types link-time optimisation is silently off. Each
# library has a folder of its own, so that no other Cargo command lays another build over it.
find_program(WSSTREAM_CARGO cargo HINTS "$ENV{CARGO_HOME}/bin" "$ENV{HOME}/.cargo/bin" REQUIRED)

# wsstream_add_library(NAME FILE CARGO...): the target wsstream::NAME, which that command makes.
function(wsstream_add_library name file)
  add_custom_target(wsstream_cargo_${name} ALL
    COMMAND ${ARGN}
    WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}"
    BYPRODUCTS "${file}"
    COMMENT "Building wsstream::${name} with Cargo"
    USES_TERMINAL
    VERBATIM)
  add_library(wsstream::${name} SHARED IMPORTED GLOBAL)
  add_dependencies(wsstream::${name} wsstream_cargo_${name})
  set_target_properties(wsstream::${name} PROPERTIES
    IMPORTED_LOCATION "${file}"
    INTERFACE_INCLUDE_DIRECTORIES "${PROJECT_SOURCE_DIR}/include")
endfunction()

set(wsstream_cargo_rustc "${WSSTREAM_CARGO}" rustc --quiet --locked --package wsstream --lib --crate-type)

if(WSSTREAM_SANITIZE STREQUAL "thread")
  # The compiler of the checkout, which rust-toolchain.toml names.
  get_filename_component(wsstream_rust_dir "${WSSTREAM_CARGO}" DIRECTORY)
  find_program(WSSTREAM_RUSTC rustc HINTS "${wsstream_rust_dir}" REQUIRED)
  execute_process(COMMAND "${WSSTREAM_RUSTC}" -vV WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}"
    OUTPUT_VARIABLE wsstream_rustc_says COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCH "host: ([^\n]+)" wsstream_host "${wsstream_rustc_says}")
  set(wsstream_host "${CMAKE_MATCH_1}")
  execute_process(COMMAND "${WSSTREAM_RUSTC}" --print target-libdir WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}"
    OUTPUT_VARIABLE wsstream_rust_libdir OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  # The runtime that comes with the compiler: gcc's is of another version and knows nothing of Rust's.
  file(GLOB wsstream_thread_runtime "${wsstream_rust_libdir}/librustc-*_rt.tsan.a")
  if(NOT wsstream_thread_runtime)
    message(FATAL_ERROR "No runtime of ThreadSanitizer is in ${wsstream_rust_libdir}")
  endif()

  set(wsstream_library_dir "${WSSTREAM_CARGO_TARGET_DIR}-thread/${wsstream_host}/debug")
  set(wsstream_library "${wsstream_library_dir}/libwsstream.so")
  # Compiling the standard library is for nightly compilers; the variable lets the pinned one do it, too.
  wsstream_add_library(wsstream "${wsstream_library}"
    "${CMAKE_COMMAND}" -E env RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=thread
    CARGO_PROFILE_DEV_OPT_LEVEL=1 CARGO_PROFILE_DEV_DEBUG=line-tables-only
    ${wsstream_cargo_rustc} cdylib -Zbuild-std=std,panic_unwind --target "${wsstream_host}" --features dump
    --target-dir "${WSSTREAM_CARGO_TARGET_DIR}-thread")
  add_library(wsstream::tested ALIAS wsstream::wsstream)
else()
  include(wsstream-link)
  if(WSSTREAM_TESTS)
    wsstream_add_library(tested "${WSSTREAM_CARGO_TARGET_DIR}-dump/release/libwsstream.so"
      "${CMAKE_COMMAND}" -E env CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16
      ${wsstream_cargo_rustc} cdylib --release --features dump --target-dir "${WSSTREAM_CARGO_TARGET_DIR}-dump")
  endif()
endif()
