# From what Cargo makes to what is installed: the shared library wsstream and the static one, wsstream_static, out of one object.
#
# Cargo makes an archive, and the linker runs here: rustc gives it an anonymous version script, which the linkers of binutils
# combine with no other, so a library that rustc links has no symbol versions. This way every linker makes the same library.
#
# The object is everything that the functions of the header need, Rust's standard library too, with nothing global in it but
# these functions: beside another static library of Rust, which has the same standard library, it links.

set(wsstream_library_dir "${WSSTREAM_CARGO_TARGET_DIR}/release")
set(wsstream_archive "${wsstream_library_dir}/libwsstream.a")
set(wsstream_object "${wsstream_library_dir}/wsstream.o")
set(wsstream_version_script "${wsstream_library_dir}/wsstream.map")
# What the compiler does not bring by itself. With glibc from 2.34 on both are empty.
set(wsstream_system_libraries pthread dl)

# The number in the SONAME has its home in build.rs, the functions and their versions in abi/symbols.txt.
file(STRINGS "${PROJECT_SOURCE_DIR}/build.rs" wsstream_soname REGEX "^const SONAME")
if(NOT wsstream_soname MATCHES "\"libwsstream\\.so\\.([0-9]+)\"")
  message(FATAL_ERROR "build.rs names no SONAME")
endif()
set(wsstream_abi "${CMAKE_MATCH_1}")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
  "${PROJECT_SOURCE_DIR}/build.rs" "${PROJECT_SOURCE_DIR}/abi/symbols.txt")

set(wsstream_exported "")
set(wsstream_versions "")
file(STRINGS "${PROJECT_SOURCE_DIR}/abi/symbols.txt" wsstream_symbols)
foreach(symbol IN LISTS wsstream_symbols)
  string(REGEX MATCH "^(.*)@@(.*)$" symbol "${symbol}")
  list(APPEND wsstream_exported "--undefined=${CMAKE_MATCH_1}")
  list(APPEND wsstream_versions "${CMAKE_MATCH_2}")
  string(APPEND wsstream_node_${CMAKE_MATCH_2} "  ${CMAKE_MATCH_1};\n")
endforeach()
list(REMOVE_DUPLICATES wsstream_versions)
list(SORT wsstream_versions COMPARE NATURAL)
set(wsstream_nodes "")
set(wsstream_rest "local:\n  *;\n")
set(wsstream_parent "")
foreach(version IN LISTS wsstream_versions)
  string(APPEND wsstream_nodes
    "${version} {\nglobal:\n${wsstream_node_${version}}${wsstream_rest}}${wsstream_parent};\n")
  set(wsstream_rest "")
  set(wsstream_parent " ${version}")
endforeach()
# Build trees that share the folder write the same: this leaves a file alone that has the right content.
file(CONFIGURE OUTPUT "${wsstream_version_script}" CONTENT "${wsstream_nodes}" @ONLY)

add_custom_target(wsstream_cargo_wsstream
  COMMAND ${wsstream_cargo_rustc} staticlib --release --target-dir "${WSSTREAM_CARGO_TARGET_DIR}"
  WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}"
  BYPRODUCTS "${wsstream_archive}"
  COMMENT "Building wsstream::wsstream with Cargo"
  USES_TERMINAL
  VERBATIM)

# Groups of sections are named by symbols that are local from then on; the sections that go are LLVM's, for other tools.
add_custom_command(OUTPUT "${wsstream_object}"
  COMMAND "${CMAKE_LINKER}" -r --force-group-allocation ${wsstream_exported} "${wsstream_archive}" -o "${wsstream_object}.all"
  COMMAND "${CMAKE_OBJCOPY}" --remove-section=.llvmbc --remove-section=.llvmcmd
          --wildcard "--keep-global-symbol=wsstream_*" "${wsstream_object}.all" "${wsstream_object}"
  COMMAND "${CMAKE_COMMAND}" -E rm "${wsstream_object}.all"
  DEPENDS wsstream_cargo_wsstream "${wsstream_archive}"
  COMMENT "Making one object of the library"
  VERBATIM)
add_custom_target(wsstream_object DEPENDS "${wsstream_object}")
set_source_files_properties("${wsstream_object}" PROPERTIES EXTERNAL_OBJECT TRUE GENERATED TRUE)

# wsstream_add_linked(TARGET SORT): a library of that object.
function(wsstream_add_linked name sort)
  add_library(${name} ${sort} "${wsstream_object}")
  add_library(wsstream::${name} ALIAS ${name})
  add_dependencies(${name} wsstream_object)
  set_target_properties(${name} PROPERTIES OUTPUT_NAME wsstream LINKER_LANGUAGE C)
  target_include_directories(${name} INTERFACE
    "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>" "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
endfunction()

wsstream_add_linked(wsstream SHARED)
# Threads of the library may be inside its code whenever somebody calls dlclose: nodelete.
target_link_options(wsstream PRIVATE
  LINKER:-z,nodelete LINKER:-z,relro LINKER:-z,now LINKER:-z,defs LINKER:--gc-sections
  "LINKER:--version-script=${wsstream_version_script}")
target_link_libraries(wsstream PRIVATE ${wsstream_system_libraries})
set_target_properties(wsstream PROPERTIES
  VERSION "${PROJECT_VERSION}" SOVERSION "${wsstream_abi}"
  LINK_DEPENDS "${wsstream_version_script}"
  LIBRARY_OUTPUT_DIRECTORY "$<1:${wsstream_library_dir}>")
set(wsstream_library "${wsstream_library_dir}/libwsstream.so")

if(WSSTREAM_STATIC)
  wsstream_add_linked(wsstream_static STATIC)
  target_link_libraries(wsstream_static INTERFACE ${wsstream_system_libraries})
endif()
