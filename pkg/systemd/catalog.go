package systemd

// The MESSAGE_ID of what an administrator may want to look up: `journalctl -x`
// then prints what packaging/catalog/kvstored.catalog says about it, with the
// fields WHY, FIX and PATH of the entry put in. A test keeps both in step.
const (
	// MessageSwapped: another generation of the engine serves now.
	MessageSwapped = "ad97fe321a8142d18ab8f47c435b1fb2"
	// MessageSwapRefused: an exchange was asked for and refused.
	MessageSwapRefused = "c1c7351a400b480ebeb78753f0821e22"
	// MessageStillMapped: an old generation's code could not be unmapped.
	MessageStillMapped = "badbbe7b619e463498eab4f0809ad1eb"
	// MessageNotStarting: the daemon refuses to start.
	MessageNotStarting = "8183c979c02b48339fd68eb8d70b8831"
	// MessageBadConfig: a line of the configuration is not understood.
	MessageBadConfig = "4a2490744b784cb4b5b19df075a6f5c1"
	// MessageLimit: a client met a limit and was closed or turned away.
	MessageLimit = "d41c9fb60600421eb16a1d3c38973473"
)
