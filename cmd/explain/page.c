/* SPDX-License-Identifier: MIT */
/* The page is drawn in the browser, from the document in it, by the scripts of cmd/explain/page/.
 */
#include "cmd/explain/page.h"

#include "cmd/explain/page_parts.h"

int explain_page_write(FILE *out, const char *json, size_t size)
{
    return page_write(out, explain_page_parts, "explain.html", json, size);
}
