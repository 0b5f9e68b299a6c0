package report

// fieldScanner reads the groups of fields that the machine-readable report types consist of (RFC 3464 §2.1,
// RFC 5965 §3). Lines that are neither a field nor folded belong to the field before them: several MTAs
// break a Diagnostic-Code without indenting it.
type fieldScanner struct {
	rest []byte
	// colon and name are of the field that rest begins with, if the end of the one before it has shown that; else 0.
	colon int
	name  []byte
}

// next returns the next field, folds included. At a blank line, which ends a group, name is nil. ok is
// false at the end.
func (s *fieldScanner) next() (name, value []byte, ok bool) {
	for len(s.rest) > 0 {
		all, colon, name := s.rest, s.colon, s.name
		s.colon = 0
		end := nextLine(all, colon)
		if colon == 0 {
			line := all[:end]
			if len(trim(line)) == 0 {
				s.rest = all[end:]
				return nil, nil, true
			}
			if colon, name = fieldName(line); colon < 0 || isBlank(line[0]) {
				s.rest = all[end:]
				continue // noise before the first field
			}
		}
		for end < len(all) && !beginsEmpty(all[end:]) {
			if !isBlank(all[end]) {
				if s.colon, s.name = fieldName(all[end:]); s.colon > 0 {
					break
				}
				s.colon = 0
			}
			end = nextLine(all, end)
		}
		s.rest = all[end:]
		return name, trim(all[colon+1 : end]), true
	}
	return nil, nil, false
}

// beginsEmpty reports whether b, which is not empty, begins with an empty line. Gateways that take each LF for a bare one
// have made CR CR LF of it.
func beginsEmpty(b []byte) bool {
	i := 0
	for i < len(b) && b[i] == '\r' {
		i++
	}
	return i == len(b) || b[i] == '\n'
}
