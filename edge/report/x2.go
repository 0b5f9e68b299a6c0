package report

// A system of Japanese providers that Yahoo Japan has, too (X2 in the literature). Its reasons stand below each address.
//
//	Message from example.co.jp.
//	Unable to deliver message to the following address(es).
//
//	<bob@example.co.jp>:
//	This user doesn't have a example.co.jp account (bob@example.co.jp) [-9]
//
//	--- Original message follows.
var x2Notice = notice{
	intro:    known("Unable to deliver message to the following address"),
	begin:    []byte("following address"),
	returned: []string{"--- Below this line is a copy of the message", "--- Original message follows"},
}
