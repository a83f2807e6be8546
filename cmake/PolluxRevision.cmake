# SPDX-License-Identifier: MIT
#
# cmake -D SOURCE=DIR -D HEADER=FILE -P PolluxRevision.cmake: writes the git revision of DIR, and
# whether what the program is made from differs from it, as a C header. It runs in every build, so
# that it is right after a commit; the header is written only when it changes, so that nothing is
# compiled in vain. Without git, without a repository, or where git refuses ("dubious ownership")
# the revision is unknown, and the build goes on.
cmake_minimum_required(VERSION 3.20)

# What a hook of git sets would lead to another repository or another index.
foreach(variable IN ITEMS GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_COMMON_DIR)
  unset(ENV{${variable}})
endforeach()

# Sets `out` to what git says, `ok` to whether it could.
macro(git out)
  execute_process(COMMAND git --no-optional-locks ${ARGN}
    WORKING_DIRECTORY ${SOURCE}
    RESULT_VARIABLE status
    OUTPUT_VARIABLE ${out}
    ERROR_QUIET
    OUTPUT_STRIP_TRAILING_WHITESPACE)
  set(ok FALSE)
  if("${status}" STREQUAL "0")
    set(ok TRUE)
  endif()
endmacro()

set(revision "")
set(dirty -1)

# A repository of something else that these sources were unpacked in knows nothing of them: DIR
# must be the top of it.
git(prefix rev-parse --show-prefix)
if(ok AND "${prefix}" STREQUAL "")
  git(head rev-parse --verify HEAD)
  if(ok)
    set(revision ${head})
    # New files count, since sources are found by pattern.
    git(changes status --porcelain -- CMakeLists.txt cmake cmd include src)
    if(ok AND "${changes}" STREQUAL "")
      set(dirty 0)
    elseif(ok)
      set(dirty 1)
    endif()
  endif()
endif()

file(CONFIGURE OUTPUT ${HEADER} @ONLY CONTENT
"/* Written by cmake/PolluxRevision.cmake in every build. */
#define POLLUX_REVISION \"@revision@\"
#define POLLUX_DIRTY    @dirty@
")
