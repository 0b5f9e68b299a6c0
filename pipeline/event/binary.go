package event

// AppendBinary appends the stored form of e to dst.
func (e *Event) AppendBinary(dst []byte) []byte { panic("BUG: not written yet") }

// DecodeBinary reads what AppendBinary wrote into e, replacing all of it.
func (e *Event) DecodeBinary(src []byte) error { panic("BUG: not written yet") }
