# SPDX-License-Identifier: MIT
#
# cmake -D OUTPUT=FILE -D PARTS=LIST -P PolluxPageParts.cmake: writes the files of the list as the
# arrays of cmd/compare/page_parts.h. An item is FILE, or NAME=FILE to give it another name.
cmake_minimum_required(VERSION 3.20)

set(arrays "")
set(rows "")
set(number 0)
foreach(item IN LISTS PARTS)
  if(item MATCHES "^([a-z.]+)=(.*)$")
    set(name ${CMAKE_MATCH_1})
    set(file ${CMAKE_MATCH_2})
  else()
    get_filename_component(name ${item} NAME)
    set(file ${item})
  endif()
  file(READ ${file} bytes HEX)
  if(bytes STREQUAL "")
    message(FATAL_ERROR "${file} is empty")
  endif()
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
  string(APPEND arrays "static const unsigned char part_${number}[] = {${bytes}};\n")
  string(APPEND rows "    {\"${name}\", part_${number}, sizeof part_${number}},\n")
  math(EXPR number "${number} + 1")
endforeach()

file(WRITE ${OUTPUT}
"/* Written by cmake/PolluxPageParts.cmake. */
#include \"cmd/compare/page_parts.h\"

${arrays}
const struct page_part page_parts[] = {
${rows}    {0},
};
")
