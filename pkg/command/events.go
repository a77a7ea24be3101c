package command

import (
	"errors"
	"strings"
)

// Events is a set of classes of keyspace notifications.
type Events uint16

// The classes of events, as the letters of notify-keyspace-events say.
const (
	EventKeyspace Events = 1 << iota // K
	EventKeyevent                    // E
	EventGeneric                     // g
	EventString                      // $
	EventList                        // l
	EventSet                         // s
	EventHash                        // h
	EventZset                        // z
	EventExpired                     // x
	EventEvicted                     // e
	EventStream                      // t
	EventModule                      // d
	EventMiss                        // m
	EventNew                         // n

	EventAll = EventGeneric | EventString | EventList | EventSet | EventHash | EventZset | EventExpired | EventEvicted |
		EventStream | EventModule // A
)

const eventLetters = "KEg$lshzxetdmn"

// ParseEvents reads the letters of notify-keyspace-events.
func ParseEvents(text string) (Events, error) {
	var e Events
	for _, c := range []byte(text) {
		switch at := strings.IndexByte(eventLetters, c); {
		case c == 'A':
			e |= EventAll
		case at < 0:
			return 0, errors.New("there is no class of events " + string(c))
		default:
			e |= 1 << at
		}
	}
	return e, nil
}

// String is the letters as Redis orders them.
func (e Events) String() string {
	var text strings.Builder
	add := func(letters string) {
		for _, c := range []byte(letters) {
			if e&(1<<strings.IndexByte(eventLetters, c)) != 0 {
				text.WriteByte(c)
			}
		}
	}
	if e&EventAll == EventAll {
		text.WriteByte('A')
	} else {
		add("g$lshzxetdn")
	}
	add("KEm")
	return text.String()
}
