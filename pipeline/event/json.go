package event

// AppendJSON appends the refined event as the JSON object of DESIGN §9 to dst, without a line end.
func (r *Refined) AppendJSON(dst []byte) []byte { panic("BUG: not written yet") }

// DecodeJSON reads what AppendJSON wrote into r, replacing all of it; unknown members are passed over.
func (r *Refined) DecodeJSON(src []byte) error { panic("BUG: not written yet") }
