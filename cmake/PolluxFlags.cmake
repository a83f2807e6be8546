# SPDX-License-Identifier: MIT
#
# Compiler settings for every target of this project. They are a function and not global
# variables, so that a project that includes Pollux with add_subdirectory() keeps its own.

option(POLLUX_WERROR "Treat warnings as errors" OFF)
option(POLLUX_HARDEN "Hardened code in optimized builds" ON)
set(POLLUX_SANITIZE "" CACHE STRING "Sanitizers, as in -fsanitize= (address,undefined or thread)")

include(CheckPIESupported)
check_pie_supported()

function(pollux_flags target)
  set_target_properties(${target} PROPERTIES
    C_STANDARD 11
    C_STANDARD_REQUIRED ON
    C_EXTENSIONS OFF
    POSITION_INDEPENDENT_CODE ON)
  # Much of what the models stand on (accept4, F_SETSIG, epoll) is a GNU extension to glibc.
  target_compile_definitions(${target} PRIVATE _GNU_SOURCE)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wshadow -Wconversion)
  if(POLLUX_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()

  if(POLLUX_SANITIZE)
    # Without -fno-sanitize-recover an undefined operation is printed, and the test still passes.
    target_compile_options(${target} PRIVATE
      -fsanitize=${POLLUX_SANITIZE} -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
    target_link_options(${target} PUBLIC -fsanitize=${POLLUX_SANITIZE})
  elseif(POLLUX_HARDEN)
    # _FORTIFY_SOURCE warns in builds without optimization, hence the condition. Level 3 exists
    # from gcc 12 on; clang takes it from 12 on, too.
    set(level 2)
    if(CMAKE_C_COMPILER_VERSION VERSION_GREATER_EQUAL 12)
      set(level 3)
    endif()
    set(optimized "$<CONFIG:Release,RelWithDebInfo,MinSizeRel>")
    target_compile_options(${target} PRIVATE
      -fstack-protector-strong
      "$<${optimized}:-U_FORTIFY_SOURCE;-D_FORTIFY_SOURCE=${level}>")
    get_target_property(type ${target} TYPE)
    if(CMAKE_SYSTEM_NAME STREQUAL "Linux" AND NOT type STREQUAL "STATIC_LIBRARY")
      target_link_options(${target} PRIVATE -Wl,-z,relro,-z,now)
    endif()
  endif()
endfunction()
