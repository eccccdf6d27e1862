/* paths.h - arguments that may name many: a path, a directory of files, or a pattern of the shell
 * that the shell did not expand ('day=*' in quotes, or too many for a command line).
 *
 * What is there under the argument's very name is meant, whatever characters it has. Else * ? [ ]
 * make a pattern, whose matches come in bytewise order, on every machine alike; none is
 * ERR_NOT_FOUND.
 */
#pragma once

#include "common/base/file.h"

/* Adds the argument, or what it matches, to the list. ERR_NOT_FOUND, ERR_IO, ERR_MEMORY. */
enum status paths_add(struct file_list *list, const char *argument);
/* The same of files: a directory stands for its regular files in bytewise order, without those
 * whose names begin with '.' or '_' (what Hadoop and Spark leave beside data). ERR_NOT_FOUND
 * without any; ERR_FORMAT for a directory of shards. */
enum status paths_add_files(struct file_list *list, const char *argument);

/* ERR_USAGE, naming both, if two of the list are one file. Those that are not there are let pass.
 */
enum status paths_distinct(const struct file_list *list);
