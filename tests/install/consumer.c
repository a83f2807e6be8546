/* SPDX-License-Identifier: MIT */
/* Somebody else's program: reaches the table of models, so that every engine is linked. */
#include <pollux/pollux.h>
#include <stdio.h>

int main(void)
{
    printf("%s %s\n", PLX_VERSION, plx_model_auto(NULL, NULL)->name);
    return 0;
}
