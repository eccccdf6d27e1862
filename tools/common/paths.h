/* paths.h - arguments that may name several files: a path, a directory of files, or a shell pattern
 * that the shell did not expand ('day=*' in quotes, or too many names for a command line).
 *
 * If a file or directory has exactly the argument's name, the argument means that one, whatever
 * characters the name has. Otherwise * ? [ ] make a pattern. Its matches come in bytewise order,
 * which is the same on every machine. No match is ERR_NOT_FOUND.
 */
#pragma once

#include "common/base/file.h"

/* Adds the argument, or what it matches, to the list. ERR_NOT_FOUND, ERR_IO, ERR_MEMORY. */
enum status paths_add(struct file_list *list, const char *argument);
/* Like paths_add, but for files: a directory stands for its regular files in bytewise order,
 * without those whose names begin with '.' or '_' (Hadoop and Spark leave such files beside data).
 * ERR_NOT_FOUND if there are none; ERR_FORMAT for a directory of shards. */
enum status paths_add_files(struct file_list *list, const char *argument);

/* ERR_USAGE if two names of the list are the same file; the message names both. Names that do not
 * exist are skipped. */
enum status paths_distinct(const struct file_list *list);
