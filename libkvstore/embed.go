// Package libkvstore holds the interface between the host and its engines: C
// headers, and below engines/ the engines themselves.
//
// The headers are embedded so that the Go build sees them: package engine
// includes them from C and imports this package, and is therefore built anew
// when one of them changes.
package libkvstore

import _ "embed" // for the headers

// Header is the text of kvstore.h, the whole interface.
//
//go:embed kvstore.h
var Header string

// Simple is the text of kvstore_simple.h, an engine from a get and a set.
//
//go:embed kvstore_simple.h
var Simple string
