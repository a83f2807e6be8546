/* SPDX-License-Identifier: MIT */
/*
 * The Gregorian calendar repeats every 400 years, which are 146 097 days. Counting years from the
 * first of March puts the leap day at the end of a year, so that no month needs an exception.
 */
#include "cmd/utc.h"

#define DAYS_TO_1970 719468 /* from 0000-03-01 to 1970-01-01 */

void utc_split(time_t now, struct utc *out)
{
    long days = (long)(now / 86400);
    long seconds = (long)(now % 86400);
    long shifted = days + DAYS_TO_1970;
    long era = shifted / 146097;
    long in_era = shifted % 146097;
    long year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    long in_year = in_era - (365 * year + year / 4 - year / 100);
    long month = (5 * in_year + 2) / 153; /* from March; 153 days are five months */

    out->day = (int)(in_year - (153 * month + 2) / 5 + 1);
    out->month = (int)(month < 10 ? month + 3 : month - 9);
    out->year = (int)(year + era * 400 + (month >= 10));
    out->hour = (int)(seconds / 3600);
    out->minute = (int)(seconds / 60 % 60);
    out->second = (int)(seconds % 60);
    out->weekday = (int)((days + 4) % 7); /* 1970 began on a Thursday */
}
