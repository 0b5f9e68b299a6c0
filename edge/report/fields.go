package report

// fieldScanner reads the groups of fields that the machine-readable report types consist of (RFC 3464 §2.1,
// RFC 5965 §3). Lines that are neither a field nor folded belong to the field before them: several MTAs
// break a Diagnostic-Code without indenting it.
type fieldScanner struct{ rest []byte }

// next returns the next field, folds included. At a blank line, which ends a group, name is nil. ok is
// false at the end.
func (s *fieldScanner) next() (name, value []byte, ok bool) {
	for len(s.rest) > 0 {
		all := s.rest
		line, rest := cutLine(all)
		s.rest = rest
		if len(trim(line)) == 0 {
			return nil, nil, true
		}
		colon, name := fieldName(line)
		if colon < 0 || isBlank(line[0]) {
			continue // noise before the first field
		}
		end := len(all) - len(rest)
		for len(s.rest) > 0 {
			line, rest := cutLine(s.rest)
			if len(line) == 0 || !isBlank(line[0]) && startsField(line) {
				break
			}
			s.rest = rest
			end = len(all) - len(rest)
		}
		return name, trim(all[colon+1 : end]), true
	}
	return nil, nil, false
}

func startsField(line []byte) bool {
	colon, _ := fieldName(line)
	return colon > 0
}
