/* boot.h - which start of this machine it is: what was not synced died with the one before. */
#pragma once

#include "status.h"

#define BOOT_ID_BYTES 40u
/* The kernel's id of this start, 36 characters; the rest of out is zero. ERR_IO, ERR_NOT_FOUND, and
 * out is all zero. */
enum status boot_id(char out[BOOT_ID_BYTES]);
