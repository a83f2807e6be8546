# SPDX-License-Identifier: MIT
#
# Compiler settings for every target of this project. They are a function and not global
# variables, so that a project that includes Pollux with add_subdirectory() keeps its own.

option(POLLUX_WERROR "Treat warnings as errors" OFF)
option(POLLUX_HARDEN "Hardened code, except in builds with sanitizers" ON)
set(POLLUX_SANITIZE "" CACHE STRING "Sanitizers, as in -fsanitize= (address,undefined or thread)")

include(CheckCCompilerFlag)
include(CheckCSourceCompiles)
include(CheckLinkerFlag)
include(CheckPIESupported)
check_pie_supported()

# ---- hardening ----------------------------------------------------------------------------------
#
# A server reads what strangers send. Should there be a flaw in how it does, each of these takes
# away a step from a flaw to a break-in. tests/cli/hardening.sh looks for all of them in the program.

set(harden_compile)
set(harden_link)

function(pollux_harden_compile flag result)
  check_c_compiler_flag(${flag} ${result})
  if(${result})
    set(harden_compile ${harden_compile} ${flag} PARENT_SCOPE)
  endif()
endfunction()

# A write past a buffer on the stack is noticed before the function returns to where it points.
pollux_harden_compile(-fstack-protector-strong POLLUX_HAS_STACK_PROTECTOR)
# A large frame touches each of its pages in turn, so it cannot jump over the guard page below the
# stack into a neighbour's memory: every connection of the thread models has a stack.
pollux_harden_compile(-fstack-clash-protection POLLUX_HAS_STACK_CLASH)
# Where the processor checks it, an indirect jump can only lead to the beginning of a function.
pollux_harden_compile(-fcf-protection POLLUX_HAS_CF_PROTECTION)

# The linked tables of functions are read-only once the program runs (full RELRO: `now`, because
# lazy binding would go on writing to them), and the stack is never executable.
check_linker_flag(C -Wl,-z,relro,-z,now,-z,noexecstack POLLUX_HAS_RELRO)
if(POLLUX_HAS_RELRO)
  set(harden_link -Wl,-z,relro,-z,now,-z,noexecstack)
endif()

# Library calls that fill a buffer check its size where the compiler knows it. Level 3 (sizes known
# only at run time) needs gcc 12 or clang 9 and glibc 2.34; a system that has less says so with a
# warning. It needs optimization as well, hence the condition on the build type.
set(CMAKE_REQUIRED_FLAGS "-O2 -Werror -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3")
check_c_source_compiles("#include <string.h>
int main(void) { return 0; }" POLLUX_HAS_FORTIFY_3)
unset(CMAKE_REQUIRED_FLAGS)
set(level 2)
if(POLLUX_HAS_FORTIFY_3)
  set(level 3)
endif()
set(optimized "$<CONFIG:Release,RelWithDebInfo,MinSizeRel>")
list(APPEND harden_compile "$<${optimized}:-U_FORTIFY_SOURCE>"
  "$<${optimized}:-D_FORTIFY_SOURCE=${level}>")

# The program's addresses differ from run to run: that is POSITION_INDEPENDENT_CODE below together
# with check_pie_supported() above, without which it would not reach the linker.

# ---- the flags of a target ----------------------------------------------------------------------

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
    target_compile_options(${target} PRIVATE ${harden_compile})
    get_target_property(type ${target} TYPE)
    if(NOT type STREQUAL "STATIC_LIBRARY")
      target_link_options(${target} PRIVATE ${harden_link})
    endif()
  endif()
endfunction()
