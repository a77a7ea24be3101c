package config

import (
	"fmt"
	"strings"
)

// ManPage is kvstored.conf(5), in troff. packaging/man/kvstored.conf.5 holds
// it; a test compares the two.
func ManPage() string {
	var b strings.Builder
	b.WriteString(manHead)
	for i := range Settings {
		s := &Settings[i]
		fmt.Fprintf(&b, ".TP\n.B %s=\n%s\n", s.Name, Troff(s.Doc))
		fmt.Fprintf(&b, ".br\nTakes %s. Default: %s. %s\n", Troff(s.Takes()), Troff(s.defaultText()), s.when())
	}
	b.WriteString(manTail)
	return b.String()
}

// Sample is the kvstored.conf that is installed: every key with its default,
// commented out.
func Sample() string {
	var b strings.Builder
	b.WriteString(sampleHead)
	for i := range Settings {
		s := &Settings[i]
		fmt.Fprintf(&b, "\n%s#%s=%s\n", comment(s.Doc), s.Name, s.Default)
	}
	return b.String()
}

// defaultText is the default as a person reads it.
func (s *Setting) defaultText() string {
	if s.Default == "" {
		return "none"
	}
	return s.Default
}

// when says from when on a change counts.
func (s *Setting) when() string {
	if s.Reload {
		if s.Live {
			return "A change counts from the next reload on, or at once by CONFIG SET."
		}
		return "A change counts from the next reload on."
	}
	return "A change counts from the next start on."
}

// Troff makes a sentence safe for a manual page.
func Troff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text
	}
	return text
}

// comment breaks text into lines of a comment.
func comment(text string) string {
	var b strings.Builder
	line := "#"
	for _, word := range strings.Fields(text) {
		if len(line)+1+len(word) > 78 {
			b.WriteString(line + "\n")
			line = "#"
		}
		line += " " + word
	}
	b.WriteString(line + "\n")
	return b.String()
}

const sampleHead = `# The configuration of kvstored. Lines with # are comments; those below show
# the defaults. Files in kvstored.conf.d/ beside this one (NAME.conf) come
# after it and win. See kvstored.conf(5). To apply a change:
#     sudo systemctl reload kvstored
`

const manHead = `.TH KVSTORED.CONF 5 "" kvstored "File formats"
.SH NAME
kvstored.conf \- configuration of the key\-value store kvstored
.SH SYNOPSIS
.nf
/etc/kvstored/kvstored.conf
/etc/kvstored/kvstored.conf.d/*.conf
/run/kvstored/kvstored.conf.d/*.conf
/usr/local/lib/kvstored/kvstored.conf.d/*.conf
/usr/lib/kvstored/kvstored.conf.d/*.conf
.fi
.SH DESCRIPTION
.BR kvstored (8)
runs without any configuration; this file changes what it does by default.
.PP
Of the main file only the first one found counts, in
.IR /etc/kvstored ,
.IR /run/kvstored ,
.I /usr/local/lib/kvstored
and
.IR /usr/lib/kvstored .
Then the files in
.I kvstored.conf.d
are read, sorted by their names whatever directory they lie in; the last one
to set a key wins. A file hides those of the same name in later directories of
the list above; a link to
.I /dev/null
hides them without putting anything in their place.
.PP
With
.BI \-\-config " FILE"
only
.I FILE
and
.IR FILE .d/*.conf
are read. A user's own instance reads
.I $CONFIGURATION_DIRECTORY
in place of
.IR /etc/kvstored .
Flags given to
.BR kvstored (8)
win over every file.
.SH FORMAT
One
.IB Key = Value
in a line. Blanks around either are ignored. A line that begins with # or ; is
a comment; nothing after a value is. An empty value stands for the default.
There are no sections, quotes or continued lines.
.PP
A key that does not exist or a value that cannot be is an error, never skipped:
the daemon does not start, or the reload is refused and all stays as it was.
The message names file and line, and what would be right.
.PP
Sizes are in bytes, or with K, M, G or T, which are powers of 1024. Times are in
seconds, or with ms, s, min or h, which may follow each other: 1min 30s.
.SH SETTINGS
`

const manTail = `.SH APPLYING A CHANGE
.B systemctl reload kvstored
reads all files again. What counts from the next start on only is named in the
journal when it was changed.
.B kvctl CONFIG GET '*'
shows what is in force;
.B kvctl CONFIG SET
changes it until the next reload or restart, for those settings of which that is
said, and
.B kvctl CONFIG REWRITE
makes such changes last, in a drop-in named 90\-config\-set.conf; both are for
root and the daemon's own user. Where the daemon may not write there, as under
the packaged unit, it answers with the command by which root does.
.B kvctl engine status
which rule chose the engine.
.SH EXAMPLES
Serve the engine in
.IR /usr/lib/kvstored/engines/lmdb.so :
.PP
.nf
    # /etc/kvstored/kvstored.conf.d/50\-engine.conf
    Engine=lmdb
.fi
.SH SEE ALSO
.BR kvstored (8),
.BR kvctl (1)
`
