// SPDX-License-Identifier: Apache-2.0

package early

import (
	"syscall"
	"unsafe"
)

// An init function, because main is too late; see the package's comment.
func init() {
	args, ok := arguments()
	if !ok || len(args) == 0 || !isCall(args[1:]) {
		return
	}
	timeout := int64(defaultTimeout)
	if v, _ := syscall.Getenv("PLOMB_TIMEOUT"); v != "" {
		if timeout, ok = duration(v); !ok {
			return
		}
	}
	path, _ := syscall.Getenv("PLOMB_SOCKET")
	if path == "" {
		path = defaultSocket
	}
	c := &call{args: args[1:], path: path, started: now(), fd: -1}
	c.deadline = c.started + timeout + slack
	c.present = c.started + min(ackTime, timeout/4)
	status, stdout, why := c.ask()
	if why == "" {
		output(stdout)
		syscall.Exit(status)
	}
	if c.fd >= 0 {
		syscall.Close(c.fd)
	}
	stdin, spent, fault = c.stdin, now()-c.started, "agent at "+path+": "+why
}

// call is one question to the agent.
type call struct {
	args  []string
	path  string
	stdin []byte
	fd    int
	// started, present and deadline are times of now: by present the agent has
	// to be there, and by deadline to have answered.
	started, present, deadline int64
}

// ask returns the answer, or why there is none.
func (c *call) ask() (status int, stdout []byte, why string) {
	if why := c.connect(); why != "" {
		return 0, nil, why
	}
	if why := c.readStdin(); why != "" {
		return 0, nil, why
	}
	req, why := request(c.args, c.stdin)
	if why != "" {
		return 0, nil, why
	}
	// A small request fits what the kernel holds for an agent that is yet to
	// come. Then this process need not be woken up for the sign that it came.
	if len(req) <= atOnce {
		why = c.send(req, c.present)
		req = nil
	}
	var there [1]byte
	if why == "" {
		why = c.receive(there[:], c.present)
	}
	if why != "" {
		return 0, nil, "nobody is there: " + why
	}
	if there[0] != ack {
		return 0, nil, "it is something else that listens there"
	}
	if why := c.send(req, c.deadline); why != "" {
		return 0, nil, why
	}
	var head [5]byte
	if why := c.receive(head[:], c.deadline); why != "" {
		return 0, nil, why
	}
	status, n, why := header(head)
	if why != "" {
		return 0, nil, why
	}
	stdout = make([]byte, n)
	if why := c.receive(stdout, c.deadline); why != "" {
		return 0, nil, why
	}
	if !isLine(stdout) {
		return 0, nil, "the agent's answer is no line of text"
	}
	return status, stdout, ""
}

// connect connects to an agent of root's or of this user's: the socket's folder
// keeps others out, and this does if it fails to.
func (c *call) connect() (why string) {
	if c.path[0] != '/' {
		return "not an absolute path"
	}
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err.Error()
	}
	c.fd = fd
	for {
		if !c.limit(syscall.SO_SNDTIMEO, c.present) {
			return "no answer in time"
		}
		err := syscall.Connect(fd, &syscall.SockaddrUnix{Name: c.path})
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return err.Error()
		}
		break
	}
	peer, err := syscall.GetsockoptUcred(fd, syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	if err != nil {
		return err.Error()
	}
	if peer.Uid != 0 && int(peer.Uid) != syscall.Geteuid() {
		return "it is another user's, who could say anything"
	}
	return ""
}

// receive fills b by a time.
func (c *call) receive(b []byte, by int64) (why string) {
	for len(b) > 0 {
		if !c.limit(syscall.SO_RCVTIMEO, by) {
			return "no answer in time"
		}
		n, err := syscall.Read(c.fd, b)
		switch {
		case err == syscall.EINTR || err == syscall.EAGAIN: // the clock decides
		case err != nil:
			return err.Error()
		case n <= 0:
			return "it broke off"
		default:
			b = b[n:]
		}
	}
	return ""
}

// send sends all of b by a time.
func (c *call) send(b []byte, by int64) (why string) {
	for len(b) > 0 {
		if !c.limit(syscall.SO_SNDTIMEO, by) {
			return "it does not listen"
		}
		n, err := syscall.SendmsgN(c.fd, b, nil, nil, syscall.MSG_NOSIGNAL)
		switch {
		case err == syscall.EINTR || err == syscall.EAGAIN:
		case err != nil:
			return err.Error()
		default:
			b = b[n:]
		}
	}
	return ""
}

// limit bounds what the next call on the socket takes; false if there is no
// time left. No time at all would mean for ever.
func (c *call) limit(option int, by int64) bool {
	left := by - now()
	if left <= 0 {
		return false
	}
	tv := syscall.NsecToTimeval(max(left, millisecond))
	return syscall.SetsockoptTimeval(c.fd, syscall.SOL_SOCKET, option, &tv) == nil
}

// readStdin reads all of standard input, which is a pipe that containerd is
// still writing to.
func (c *call) readStdin() (why string) {
	for {
		left := c.deadline - now()
		if left <= 0 {
			return "no descriptor on standard input in time"
		}
		var set syscall.FdSet
		set.Bits[0] = 1 // file 0
		tv := syscall.NsecToTimeval(max(left, millisecond))
		n, err := syscall.Select(1, &set, nil, nil, &tv)
		if err == syscall.EINTR || err == nil && n == 0 {
			continue
		}
		if err != nil {
			return "standard input: " + err.Error()
		}
		if len(c.stdin) > maxStdin {
			return "standard input is too long for the agent"
		}
		if cap(c.stdin)-len(c.stdin) < 4<<10 {
			c.stdin = append(make([]byte, 0, 2*cap(c.stdin)+4<<10), c.stdin...)
		}
		n, err = syscall.Read(0, c.stdin[len(c.stdin):cap(c.stdin)])
		switch {
		case err == syscall.EINTR || err == syscall.EAGAIN:
		case err != nil:
			return "standard input: " + err.Error()
		case n <= 0:
			return ""
		default:
			c.stdin = c.stdin[:len(c.stdin)+n]
		}
	}
}

// output writes the reason. Should it get lost, the exit status still counts.
func output(b []byte) {
	for len(b) > 0 {
		n, err := syscall.Write(1, b)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || n <= 0 {
			return
		}
		b = b[n:]
	}
}

// arguments are those of this process, with its name. The Go runtime gives them
// to package os alone.
func arguments() (args []string, ok bool) {
	fd, err := syscall.Open("/proc/self/cmdline", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, false
	}
	defer syscall.Close(fd)
	buf := make([]byte, 0, 4<<10)
	for {
		if len(buf) == cap(buf) {
			if cap(buf) > maxArgs*maxArg {
				return nil, false
			}
			buf = append(make([]byte, 0, 4*cap(buf)), buf...)
		}
		n, err := syscall.Read(fd, buf[len(buf):cap(buf)])
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return nil, false
		}
		if n <= 0 {
			return split(buf), true
		}
		buf = buf[:len(buf)+n]
	}
}

// split takes arguments apart, each of which ends with a zero.
func split(b []byte) (args []string) {
	start := 0
	for i, c := range b {
		if c == 0 {
			args = append(args, string(b[start:i]))
			start = i + 1
		}
	}
	return args
}

// now is a clock that nobody sets, in nanoseconds.
func now() int64 {
	const monotonic = 1
	var ts syscall.Timespec
	syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, monotonic, uintptr(unsafe.Pointer(&ts)), 0)
	return ts.Nano()
}
