# SPDX-License-Identifier: MIT
#
# pollux_page(TARGET): puts the sources of the pages into TARGET. The report of pollux compare is
# cmd/compare/page/* and Chart.js, that of pollux explain cmd/explain/page/* and what both share.
# Chart.js is the distribution's (Debian: libjs-chart.js), and optional: without it the report has
# all its tables and says that the plots are missing.

option(POLLUX_PLOTS "Plots in the report of pollux compare, where Chart.js is there" ON)

# The files as one table of parts in TARGET: generated/NAME.c has what HEADER declares as TABLE.
function(pollux_page_parts target name header table)
  set(output ${PROJECT_BINARY_DIR}/generated/${name}.c)
  set(script ${PROJECT_SOURCE_DIR}/cmake/PolluxPageParts.cmake)
  set(files ${ARGN})
  list(TRANSFORM files REPLACE "^chart.js=" "")
  add_custom_command(OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} -D OUTPUT=${output} -D HEADER=${header} -D TABLE=${table}
      -D "PARTS=${ARGN}" -P ${script}
    DEPENDS ${files} ${script}
    COMMENT "Putting the sources of ${name} into C" VERBATIM)
  target_sources(${target} PRIVATE ${output})
endfunction()

function(pollux_page target)
  set(compare ${PROJECT_SOURCE_DIR}/cmd/compare/page)
  file(GLOB parts CONFIGURE_DEPENDS ${compare}/*)
  file(GLOB explain_parts CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/cmd/explain/page/*)
  foreach(shared IN ITEMS page.css parts.css print.css numbers.js dom.js theme.js)
    list(APPEND explain_parts ${compare}/${shared})
  endforeach()
  if(POLLUX_PLOTS)
    # Version 3 has one name, version 4 the others. The file defines `Chart` for a plain script.
    find_file(POLLUX_CHART_JS NAMES chart.umd.min.js chart.umd.js chart.min.js
      HINTS /usr/share /usr/local/share
      PATH_SUFFIXES javascript/chart.js nodejs/chart.js/dist
      DOC "Chart.js, as one file for browsers")
    if(POLLUX_CHART_JS)
      list(APPEND parts chart.js=${POLLUX_CHART_JS})
    else()
      message(STATUS "Chart.js: not found (Debian: libjs-chart.js), reports will have no plots")
    endif()
  endif()

  pollux_page_parts(${target} page_parts cmd/compare/page_parts.h page_parts ${parts})
  pollux_page_parts(${target} explain_page_parts cmd/explain/page_parts.h explain_page_parts
    ${explain_parts})
endfunction()
