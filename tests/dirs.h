/* dirs.h - lists of directories for tests, on the stack. */
#pragma once

#include "common/base/file.h"

/* Good as long as the block it stands in. */
#define DIRS(...)                                                                                  \
    ((struct file_list){.names = (char *[]){__VA_ARGS__},                                          \
                        .count = sizeof((char *[]){__VA_ARGS__}) / sizeof(char *)})
#define NO_DIRS ((struct file_list){0})
