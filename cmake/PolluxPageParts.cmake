# SPDX-License-Identifier: MIT
#
# cmake -D OUTPUT=FILE -D HEADER=FILE -D TABLE=NAME -D PARTS=LIST -P PolluxPageParts.cmake: writes
# the files of the list as the table of page_parts (cmd/page.h) that HEADER declares. An item is
# FILE, or NAME=FILE to give it another name.
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
#include \"${HEADER}\"

${arrays}
const struct page_part ${TABLE}[] = {
${rows}    {0},
};
")
