#!/bin/sh
# Makes this comparison again, and says whether the results are the same.
exec "${POLLUX:-pollux}" compare --repeat "$(dirname "$0")/results.json" "$@"
