# The target wsstream::wsstream: the shared library, made by Cargo.
#
# `cargo rustc --crate-type cdylib` and not `cargo build`: with rlib among the crate types link-time optimisation is
# silently off. The folder is the build's own, so that no other Cargo command lays another build over it.
find_program(WSSTREAM_CARGO cargo HINTS "$ENV{CARGO_HOME}/bin" "$ENV{HOME}/.cargo/bin" REQUIRED)

set(wsstream_library_dir "${WSSTREAM_CARGO_TARGET_DIR}/release")
set(wsstream_library "${wsstream_library_dir}/libwsstream.so")

add_custom_target(wsstream_cargo ALL
  COMMAND "${WSSTREAM_CARGO}" rustc --quiet --locked --release --package wsstream --lib --crate-type cdylib
          --target-dir "${WSSTREAM_CARGO_TARGET_DIR}"
  WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}"
  BYPRODUCTS "${wsstream_library}"
  COMMENT "Building libwsstream with Cargo"
  USES_TERMINAL
  VERBATIM)

add_library(wsstream::wsstream SHARED IMPORTED GLOBAL)
add_dependencies(wsstream::wsstream wsstream_cargo)
set_target_properties(wsstream::wsstream PROPERTIES
  IMPORTED_LOCATION "${wsstream_library}"
  INTERFACE_INCLUDE_DIRECTORIES "${PROJECT_SOURCE_DIR}/include")
