#include "prep.h"

enum status prep_csv(struct prep_run *r) {
    return fail(ERR_USAGE, "--format %s is not there yet", r->o->format);
}
