# SPDX-License-Identifier: MIT
#
# pollux_page(TARGET): puts the sources of the report, cmd/compare/page/*, and Chart.js into TARGET.
# Chart.js is the distribution's (Debian: libjs-chart.js), and optional: without it the report has
# all its tables and says that the plots are missing.

option(POLLUX_PLOTS "Plots in the report of pollux compare, where Chart.js is there" ON)

function(pollux_page target)
  file(GLOB parts CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/cmd/compare/page/*)
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

  set(output ${PROJECT_BINARY_DIR}/generated/page_parts.c)
  set(script ${PROJECT_SOURCE_DIR}/cmake/PolluxPageParts.cmake)
  set(files ${parts})
  list(TRANSFORM files REPLACE "^chart.js=" "")
  add_custom_command(OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} -D OUTPUT=${output} -D "PARTS=${parts}" -P ${script}
    DEPENDS ${files} ${script}
    COMMENT "Putting the report's sources into C" VERBATIM)
  target_sources(${target} PRIVATE ${output})
endfunction()
