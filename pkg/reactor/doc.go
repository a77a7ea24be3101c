// Package reactor is the loop around the sockets. It owns the connections,
// takes all that are ready, has their bytes parsed, executed and answered by a
// [Handler], and writes the answers. It knows nothing of the protocol.
//
// One turn of the loop is a tick, with the phases
//
//	wait -> read -> parse -> execute -> reply
//
// over all ready connections at once, so that what a tick costs is shared by
// everything in it. A [Reactor] is one goroutine; everything it owns is
// touched by that goroutine only, except through [Reactor.Post].
//
// The bytes of a tick are read into one off-heap arena. What is left of a
// request that has not ended is kept per connection: on the heap while it is
// small, in a mapping of its own when the request is known to be large. An
// idle connection owns no buffer.
package reactor
