// Package engine loads engine libraries, keeps the store that serves, and
// exchanges the library under it. It is the only package that uses C.
//
//	h, err := engine.Open("/usr/lib/libkvstore.so", engine.Options{Check: …})
//	h.Lock() // the lane
//	err = h.Exec(b, 0, b.Len(), now)
//	h.Unlock()
//	outcome, err := h.Swap(engine.Request{Path: "/usr/lib/libkvstore.so"})
//
// # The lane
//
// One lock guards every call into engines: Exec, Scan, Stat, Maintain and the
// switch of a swap. Whoever holds it sees one store; after it was given back
// another engine may serve. Release, Status and Disk do not need it.
//
// # The walk of a swap
//
//	idle -> checking -> loading -> opening -> copying -> draining -> serving -> idle
//
// Checking (image.go, trust.go, trial.go, check.go): every directory and link
// on the way to the file, and the open file itself, must belong to root and be
// writable by nobody else; the file must be a whole shared object for this
// machine. It is read once into a sealed memfd, so that nothing that happens to
// the file later matters. A child process (this program again, as
// check-engine) loads that memfd and puts the engine through the conformance
// suite; whatever crashes or hangs does it there. When the formats are equal
// stores of the library that serves change hands with the new one, there, too.
// The library that serves
// already, by its SHA-256, is answered with "unchanged".
//
// Loading (load.c, info.go): dlopen of the memfd as /proc/PID/fd/N, a name that
// the dynamic linker has never seen as long as N stays open. The descriptor is
// copied and checked.
//
// Opening: with equal formats, and hand-over on both sides, the lane is taken
// and the store passes from the old code to the new: offer, accept, close. A
// refusal on either side lets the old one resume.
//
// Copying (copy.go, follow.go, feed.go, carry.go, compare.go): otherwise an empty
// store is opened and filled in slices of a walk; between slices clients go on.
// After each batch every key that it may have changed is read again from the old
// store; so are keys that expired. Both are read in the lane, and one goroutine
// puts them into the new store in the order in which they were read, outside the
// lane: nobody waits for that store, which may be on a disk, until far too much is
// on its way. Nothing depends on what a command meant, and a deleted key cannot
// come back, because its removal is read after the slice that had it. Then everything
// is compared, old to new byte by byte and new to old for extras; that goes the
// same way, so the new store is asked when it has come as far as the old one was.
// Any failure ends the swap, never a request.
//
// Draining: the lane is taken for the switch, when the new store has nearly all:
// for the rest of it, one rename and one assignment. What waits for a disk comes
// before and after ([copying.finish] has the order, and why a crash is harmless).
//
// Serving: the old generation retires (generation.go) beside the traffic: it
// waits for its last pinned value, is closed and unloaded, and /proc/self/maps
// tells whether it is really gone. What stays is counted.
//
// Until the switch every failure leaves the old engine serving, and the
// [Refusal] says what, why and what mends it.
//
// # When an engine fails
//
// An engine whose exec fails as a whole has lost its store: the operations get
// the status Unknown, Options.OnFatal is told, and every later call fails. There
// is nothing to go back to; the process should end and be started anew.
//
// A call that never returns holds the lane for good: C cannot be interrupted.
// Trials are bounded by their time-out; in the daemon the service manager's
// watchdog, which is told through the lane, ends the process. One
// that is copied to holds up the exchange, and clients when far too much waits for it.
//
// # What is served
//
// Engines that say they block are refused until the host can serve them. Of a
// store that only one can have open, with a format that stays, the old code
// closes and the new code opens the files, in the lane (reopen.go). If the new
// code fails the old one opens them again. What an engine lacks is refused
// operation by operation (guard.c), and KV_UPDATE is made of get and set where
// it is missing. A library with plain set and get is adapted (legacy.c).
//
// One value is copied within one slice, however long it is; a value of half a
// gigabyte holds the lane for as long as copying it takes.
package engine
