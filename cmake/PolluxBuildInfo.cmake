# SPDX-License-Identifier: MIT
#
# pollux_build_info(TARGET SOURCE): the program says how it was built. Only SOURCE, which belongs to
# TARGET, is compiled again when that changes.

function(pollux_build_info target source)
  set(flags "${CMAKE_C_FLAGS} ")
  # A generator for several configurations has a list of them, the others have one.
  foreach(config IN LISTS CMAKE_CONFIGURATION_TYPES CMAKE_BUILD_TYPE)
    string(TOUPPER "${config}" upper)
    string(APPEND flags "$<$<CONFIG:${config}>:${CMAKE_C_FLAGS_${upper}} >")
  endforeach()
  string(REPLACE "\\" "\\\\" flags "${flags}")
  string(REPLACE "\"" "\\\"" flags "${flags}")
  string(STRIP "${flags}" flags)
  # Warnings change no code.
  set(options "$<FILTER:$<TARGET_PROPERTY:pollux,COMPILE_OPTIONS>,EXCLUDE,^-W>")
  set_property(SOURCE ${source} APPEND PROPERTY COMPILE_DEFINITIONS
    "POLLUX_COMPILER=\"${CMAKE_C_COMPILER_ID} ${CMAKE_C_COMPILER_VERSION}\""
    "POLLUX_FLAGS=\"${flags}$<JOIN:${options}, >\""
    "POLLUX_BUILD_TYPE=\"$<CONFIG>\"")

  set(generated ${PROJECT_BINARY_DIR}/generated)
  set(command ${CMAKE_COMMAND} -D SOURCE=${PROJECT_SOURCE_DIR}
    -D HEADER=${generated}/pollux_revision.h -P ${PROJECT_SOURCE_DIR}/cmake/PolluxRevision.cmake)
  # Now too, because tools that read the sources (clang-tidy) do so before there is a build.
  execute_process(COMMAND ${command})
  add_custom_target(pollux-revision COMMAND ${command}
    BYPRODUCTS ${generated}/pollux_revision.h
    COMMENT "Looking up the revision" VERBATIM)
  add_dependencies(${target} pollux-revision)
  target_include_directories(${target} PRIVATE ${generated})
endfunction()
