package hdf5

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// class is what the elements of an array are.
type class uint8

const (
	classInteger class = iota
	classFloat
	classString         // of fixed length
	classVariableString // a reference into a global heap
	classOther
)

// Type describes the elements of an array.
type Type struct {
	class     class
	size      uint64 // bytes per element
	bigEndian bool
	signed    bool // for integers
	pad       uint8
	float     floatFormat
	name      string
}

// floatFormat is where the parts of a floating-point number lie, in bits.
type floatFormat struct {
	sign, exponent, exponentBits, fraction, fractionBits uint
	bias                                                 int
}

var (
	single = floatFormat{31, 23, 8, 0, 23, 127}
	double = floatFormat{63, 52, 11, 0, 52, 1023}
)

// String returns the type's name, as float32 or string.
func (t Type) String() string { return t.name }

// IsString tells whether Strings can read elements of the type.
func (t Type) IsString() bool { return t.class == classString || t.class == classVariableString }

// IsFloat tells whether the elements are floating-point numbers.
func (t Type) IsFloat() bool { return t.class == classFloat }

// IsInteger tells whether the elements are whole numbers; those of an enumeration, such as booleans, are too.
func (t Type) IsInteger() bool { return t.class == classInteger }

// datatype decodes a datatype message (section IV.A.2.d).
func datatype(data []byte) (Type, error) { return datatypeAt(&cursor{b: data}, true) }

// datatypeAt decodes the datatype at a cursor; an enumeration nests one other, of its numbers.
func datatypeAt(c *cursor, nest bool) (Type, error) {
	kind := c.u8() & 15
	bits := uint32(c.uint(3))
	t := Type{size: uint64(c.u32()), bigEndian: bits&1 != 0, class: classOther}
	switch kind {
	case 0:
		offset, precision := c.u16(), c.u16()
		t.class, t.signed = classInteger, bits&8 != 0
		t.name = fmt.Sprintf("int%d", precision)
		if !t.signed {
			t.name = "u" + t.name
		}
		if whole := t.size == 1 || t.size == 2 || t.size == 4 || t.size == 8; !whole || offset != 0 || uint64(precision) != 8*t.size {
			return t, fmt.Errorf("integers of %d bits in %d bytes are not supported", precision, t.size)
		}
	case 1:
		c.skip(4) // offset and precision follow from the rest
		t.class, t.name = classFloat, fmt.Sprintf("float%d", 8*t.size)
		t.float.sign = uint(bits >> 8 & 0xff)
		t.float.exponent, t.float.exponentBits = uint(c.u8()), uint(c.u8())
		t.float.fraction, t.float.fractionBits = uint(c.u8()), uint(c.u8())
		t.float.bias = int(int32(c.u32()))
		if !t.float.fits(t.size) || bits>>4&3 != 2 || bits&0x40 != 0 {
			return t, fmt.Errorf("floating-point numbers of this format, of %d bytes, are not supported", t.size)
		}
	case 3:
		t.class, t.pad, t.name = classString, uint8(bits&15), "string"
	case 8:
		if !nest {
			return t, errors.New("broken datatype: enumerations are nested")
		}
		base, err := datatypeAt(c, false)
		if err == nil && base.size != t.size {
			err = errors.New("broken datatype of an enumeration")
		}
		return base, err
	case 9:
		if bits&15 == 1 {
			t.class = classVariableString
		}
		t.name = "variable-length string"
	}
	if t.class == classOther {
		t.name = fmt.Sprintf("of class %d", kind)
	}
	if c.short || t.size == 0 {
		return t, errors.New("broken datatype")
	}
	return t, nil
}

// fits tells whether the parts lie within size bytes and can be decoded by way of a float64.
func (l floatFormat) fits(size uint64) bool {
	bits := 8 * uint(size)
	return (size == 1 || size == 2 || size == 4 || size == 8) && l.sign < bits &&
		l.exponentBits > 0 && l.exponentBits <= 11 && l.exponent+l.exponentBits <= bits &&
		l.fractionBits <= 52 && l.fraction+l.fractionBits <= bits &&
		l.bias >= 0 && l.bias < 1<<11
}

// bits returns the first element of raw, whose size is 1, 2, 4 or 8 bytes, as an unsigned number.
func (t Type) bits(raw []byte) uint64 {
	order := binary.ByteOrder(binary.LittleEndian)
	if t.bigEndian {
		order = binary.BigEndian
	}
	switch t.size {
	case 1:
		return uint64(raw[0])
	case 2:
		return uint64(order.Uint16(raw))
	case 4:
		return uint64(order.Uint32(raw))
	}
	return order.Uint64(raw)
}

// integer sign-extends the bits of an integer. Only an unsigned one of 64 bits may not fit.
func (t Type) integer(bits uint64) (v int64, ok bool) {
	if t.signed {
		shift := 64 - 8*t.size
		return int64(bits<<shift) >> shift, true
	}
	return int64(bits), bits <= math.MaxInt64
}

// value converts the bits of a floating-point number.
func (l floatFormat) value(bits uint64) float64 {
	switch l {
	case double:
		return math.Float64frombits(bits)
	case single:
		return float64(math.Float32frombits(uint32(bits)))
	}
	fraction := bits >> l.fraction & (1<<l.fractionBits - 1)
	exponent := int(bits >> l.exponent & (1<<l.exponentBits - 1))
	var v float64
	switch {
	case exponent == 1<<l.exponentBits-1 && fraction != 0:
		v = math.NaN()
	case exponent == 1<<l.exponentBits-1:
		v = math.Inf(1)
	case exponent == 0:
		v = math.Ldexp(float64(fraction), 1-l.bias-int(l.fractionBits))
	default:
		v = math.Ldexp(float64(fraction|1<<l.fractionBits), exponent-l.bias-int(l.fractionBits))
	}
	if bits>>l.sign&1 != 0 {
		v = -v
	}
	return v
}
