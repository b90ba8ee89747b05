#pragma once
// Stands between the victim and the C library: with MARTLET_FORGETFUL_SYNC=1 in the environment,
// fdatasync of a journal file says that it did what it did not. The planted bug that the power cuts
// must find.
int martlet_forgets_syncs(void);
