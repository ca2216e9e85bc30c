# From what Cargo makes to what is installed: wsstream::wsstream and wsstream::wsstream_static, out of one object.
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

# The SONAME has its home in build.rs, the functions and their versions in abi/symbols.txt.
file(STRINGS "${PROJECT_SOURCE_DIR}/build.rs" wsstream_soname REGEX "^const SONAME")
string(REGEX REPLACE "^.*\"(.*)\".*$" "\\1" wsstream_soname "${wsstream_soname}")
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

# Threads of the library may be inside its code whenever somebody calls dlclose: nodelete. A program that runs on the library
# keeps it: the new one takes its name.
set(wsstream_library "${wsstream_library_dir}/libwsstream.so.${PROJECT_VERSION}")
separate_arguments(wsstream_linker_flags NATIVE_COMMAND "${CMAKE_SHARED_LINKER_FLAGS}")
list(TRANSFORM wsstream_system_libraries PREPEND -l OUTPUT_VARIABLE wsstream_system_flags)
add_custom_command(OUTPUT "${wsstream_library}"
  COMMAND "${CMAKE_C_COMPILER}" -shared ${wsstream_linker_flags} "-Wl,-soname,${wsstream_soname}"
          "-Wl,--version-script=${wsstream_version_script}" -Wl,-z,nodelete -Wl,-z,relro -Wl,-z,now -Wl,-z,defs -Wl,--gc-sections
          "${wsstream_object}" -Wl,--as-needed ${wsstream_system_flags} -o "${wsstream_library}.new"
  COMMAND "${CMAKE_COMMAND}" -E rename "${wsstream_library}.new" "${wsstream_library}"
  COMMAND "${CMAKE_COMMAND}" -E create_symlink "libwsstream.so.${PROJECT_VERSION}" "${wsstream_library_dir}/${wsstream_soname}"
  COMMAND "${CMAKE_COMMAND}" -E create_symlink "${wsstream_soname}" "${wsstream_library_dir}/libwsstream.so"
  DEPENDS "${wsstream_object}" "${wsstream_version_script}"
  COMMENT "Linking the shared library"
  VERBATIM)

# Cargo's own archive has the name; a folder beside keeps them apart.
set(wsstream_static_library "${wsstream_library_dir}/static/libwsstream.a")
add_custom_command(OUTPUT "${wsstream_static_library}"
  COMMAND "${CMAKE_COMMAND}" -E make_directory "${wsstream_library_dir}/static"
  COMMAND "${CMAKE_COMMAND}" -E rm -f "${wsstream_static_library}"
  COMMAND "${CMAKE_AR}" qcs "${wsstream_static_library}" "${wsstream_object}"
  DEPENDS "${wsstream_object}"
  COMMENT "Making the static library"
  VERBATIM)

set(wsstream_made "${wsstream_library}")
if(WSSTREAM_STATIC)
  list(APPEND wsstream_made "${wsstream_static_library}")
endif()
add_custom_target(wsstream_libraries ALL DEPENDS ${wsstream_made})

add_library(wsstream::wsstream SHARED IMPORTED GLOBAL)
add_dependencies(wsstream::wsstream wsstream_libraries)
set_target_properties(wsstream::wsstream PROPERTIES
  IMPORTED_LOCATION "${wsstream_library}"
  IMPORTED_SONAME "${wsstream_soname}"
  INTERFACE_INCLUDE_DIRECTORIES "${PROJECT_SOURCE_DIR}/include")
if(WSSTREAM_STATIC)
  add_library(wsstream::wsstream_static STATIC IMPORTED GLOBAL)
  add_dependencies(wsstream::wsstream_static wsstream_libraries)
  set_target_properties(wsstream::wsstream_static PROPERTIES
    IMPORTED_LOCATION "${wsstream_static_library}"
    INTERFACE_LINK_LIBRARIES "${wsstream_system_libraries}"
    INTERFACE_INCLUDE_DIRECTORIES "${PROJECT_SOURCE_DIR}/include")
endif()
