# SPDX-License-Identifier: MIT
#
# Manual pages, shell completion, and the install rules: pkg-config and find_package(pollux) both
# find what is installed. tests/install builds a consumer each way.
include(CMakePackageConfigHelpers)

install(TARGETS pollux EXPORT polluxTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/pollux DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  FILES_MATCHING PATTERN "*.h")

# What a consumer of the archive must link besides; the shared library brings its own.
set(pc_requires "")
set(pc_libs "")
if(NOT BUILD_SHARED_LIBS)
  set(pc_libs "-pthread")
  if(LIBURING_FOUND)
    set(pc_requires "liburing")
  endif()
endif()
# CMAKE_INSTALL_*DIR may be absolute, then the prefix must not stand before it.
foreach(dir IN ITEMS LIBDIR INCLUDEDIR)
  if(IS_ABSOLUTE "${CMAKE_INSTALL_${dir}}")
    set(pc_${dir} "${CMAKE_INSTALL_${dir}}")
  else()
    set(pc_${dir} "\${prefix}/${CMAKE_INSTALL_${dir}}")
  endif()
endforeach()
configure_file(pollux.pc.in pollux.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/pollux.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

set(config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/pollux)
configure_package_config_file(cmake/polluxConfig.cmake.in polluxConfig.cmake
  INSTALL_DESTINATION ${config_dir}
  NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(polluxConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/polluxConfig.cmake ${PROJECT_BINARY_DIR}/polluxConfigVersion.cmake
  DESTINATION ${config_dir})
install(EXPORT polluxTargets NAMESPACE pollux:: DESTINATION ${config_dir})

install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

if(NOT POLLUX_PROGRAM)
  return()
endif()
install(TARGETS pollux-program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

# The program writes its own manual and completion from the table of options that it parses with,
# so they cannot disagree with it. Neither is possible when it cannot run on the building machine.
if(CMAKE_CROSSCOMPILING)
  return()
endif()
set(generated ${PROJECT_BINARY_DIR}/share/bash-completion/pollux)
file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/share/bash-completion ${PROJECT_BINARY_DIR}/share/man1)
add_custom_command(OUTPUT ${generated}
  COMMAND pollux-program completion bash > ${generated}
  DEPENDS pollux-program VERBATIM)
install(FILES ${generated} DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)

foreach(command IN ITEMS "" models serve connect check bench compare)
  string(JOIN "-" name pollux ${command})
  set(page ${PROJECT_BINARY_DIR}/share/man1/${name}.1)
  add_custom_command(OUTPUT ${page}
    COMMAND pollux-program man ${command} > ${page}
    DEPENDS pollux-program VERBATIM)
  list(APPEND generated ${page})
  install(FILES ${page} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
endforeach()
add_custom_target(pollux-documents ALL DEPENDS ${generated})
