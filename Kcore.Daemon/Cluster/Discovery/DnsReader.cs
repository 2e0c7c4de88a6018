using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Net;
using System.Text;

namespace Kcore.Daemon.Cluster.Discovery;

/// <summary>
/// Reads a DNS message from the LAN, where anybody writes. Every count is bounded, no length is believed, and a
/// compression pointer must point before the name it is in, which excludes loops. False means malformed.
/// </summary>
internal ref struct DnsReader
{
    private const int HeaderSize = 12;
    private const int MaxQuestions = 64;
    private const int MaxRecords = 512;
    private const int MaxNameBytes = 255;
    private const int MaxTextStrings = 32;
    private const ushort ClassInternet = 1;
    private const ushort ClassAny = 255;
    private const ushort TopBit = 0x8000;

    private readonly ReadOnlySpan<byte> _message;
    private int _position;

    private DnsReader(ReadOnlySpan<byte> message)
    {
        _message = message;
        _position = HeaderSize;
    }

    public static bool TryRead(ReadOnlySpan<byte> bytes, out DnsMessage message)
    {
        message = null!;
        if (bytes.Length is < HeaderSize or > DnsMessage.MaxSize)
        {
            return false;
        }

        ushort flags = BinaryPrimitives.ReadUInt16BigEndian(bytes[2..]);
        int questions = BinaryPrimitives.ReadUInt16BigEndian(bytes[4..]);
        int answers = BinaryPrimitives.ReadUInt16BigEndian(bytes[6..]);
        int authority = BinaryPrimitives.ReadUInt16BigEndian(bytes[8..]);
        int additional = BinaryPrimitives.ReadUInt16BigEndian(bytes[10..]);

        // Opcode and response code other than zero must be ignored (RFC 6762 §18.3, §18.11).
        if ((flags & 0x780F) != 0 || questions > MaxQuestions || answers + authority + additional > MaxRecords)
        {
            return false;
        }

        var reader = new DnsReader(bytes);
        if (!reader.TryReadQuestions(questions, out ImmutableArray<DnsQuestion> asked)
            || !reader.TryReadRecords(answers, out ImmutableArray<DnsRecord> answered)
            || !reader.TryReadRecords(authority, out _)
            || !reader.TryReadRecords(additional, out ImmutableArray<DnsRecord> added))
        {
            return false;
        }

        message = new DnsMessage(
            BinaryPrimitives.ReadUInt16BigEndian(bytes), (flags & TopBit) != 0, asked, answered, added);
        return true;
    }

    private bool TryReadQuestions(int count, out ImmutableArray<DnsQuestion> questions)
    {
        var read = ImmutableArray.CreateBuilder<DnsQuestion>();
        questions = [];
        for (int i = 0; i < count; i++)
        {
            if (!TryReadName(out string name) || !TryReadUInt16(out ushort type) || !TryReadUInt16(out ushort @class))
            {
                return false;
            }

            if ((@class & ~TopBit) is ClassInternet or ClassAny)
            {
                read.Add(new DnsQuestion(name, (DnsType)type, (@class & TopBit) != 0));
            }
        }

        questions = read.DrainToImmutable();
        return true;
    }

    private bool TryReadRecords(int count, out ImmutableArray<DnsRecord> records)
    {
        var read = ImmutableArray.CreateBuilder<DnsRecord>();
        records = [];
        for (int i = 0; i < count; i++)
        {
            if (!TryReadName(out string name)
                || !TryReadUInt16(out ushort type)
                || !TryReadUInt16(out ushort @class)
                || !TryReadUInt32(out uint seconds)
                || !TryReadUInt16(out ushort length)
                || length > _message.Length - _position)
            {
                return false;
            }

            int end = _position + length;
            if ((@class & ~TopBit) == ClassInternet)
            {
                // RFC 2181 §8: a time to live with the top bit set is to be taken as zero.
                TimeSpan timeToLive = TimeSpan.FromSeconds(seconds > int.MaxValue ? 0 : seconds);
                if (!TryReadData((DnsType)type, name, timeToLive, end, out DnsRecord? record))
                {
                    return false;
                }

                if (record is not null)
                {
                    read.Add(record);
                }
            }

            _position = end;
        }

        records = read.DrainToImmutable();
        return true;
    }

    private bool TryReadData(DnsType type, string name, TimeSpan timeToLive, int end, out DnsRecord? record)
    {
        record = null;
        switch (type)
        {
            case DnsType.A:
                if (end - _position != 4)
                {
                    return false;
                }

                record = new DnsRecord.Address(name, timeToLive, new IPAddress(_message.Slice(_position, 4)));
                return true;

            case DnsType.Ptr:
                if (!TryReadName(out string target) || _position != end)
                {
                    return false;
                }

                record = new DnsRecord.Pointer(name, timeToLive, target);
                return true;

            case DnsType.Srv:
                // Priority and weight are for choosing among several instances; here each instance is a node.
                _position += 4;
                if (!TryReadUInt16(out ushort port) || !TryReadName(out string host) || _position != end)
                {
                    return false;
                }

                record = new DnsRecord.Service(name, timeToLive, port, host);
                return true;

            case DnsType.Txt:
                if (!TryReadStrings(end, out ImmutableArray<string> strings))
                {
                    return false;
                }

                record = new DnsRecord.Text(name, timeToLive, strings);
                return true;

            default:
                return true;
        }
    }

    private bool TryReadStrings(int end, out ImmutableArray<string> strings)
    {
        var read = ImmutableArray.CreateBuilder<string>();
        strings = [];
        while (_position < end)
        {
            int length = _message[_position++];
            if (length > end - _position)
            {
                return false;
            }

            if (length > 0 && read.Count < MaxTextStrings)
            {
                read.Add(Encoding.Latin1.GetString(_message.Slice(_position, length)));
            }

            _position += length;
        }

        strings = read.DrainToImmutable();
        return true;
    }

    private bool TryReadName(out string name)
    {
        var text = new StringBuilder();
        int cursor = _position;
        int segmentStart = cursor;
        bool jumped = false;
        int bytes = 1;
        name = "";
        while (true)
        {
            if (cursor >= _message.Length)
            {
                return false;
            }

            int length = _message[cursor++];
            switch (length & 0xC0)
            {
                case 0x00 when length == 0:
                    _position = jumped ? _position : cursor;
                    name = text.ToString();
                    return true;

                case 0x00:
                    bytes += length + 1;
                    if (bytes > MaxNameBytes || length > _message.Length - cursor)
                    {
                        return false;
                    }

                    AppendLabel(text, _message.Slice(cursor, length));
                    cursor += length;
                    break;

                case 0xC0 when cursor < _message.Length:
                    int target = ((length & 0x3F) << 8) | _message[cursor++];
                    if (!jumped)
                    {
                        _position = cursor;
                        jumped = true;
                    }

                    // Strictly backwards past the start of this very segment: each jump goes further back, so the
                    // number of jumps is bounded by the length of the message, and the name by 255 bytes.
                    if (target >= segmentStart || target < HeaderSize)
                    {
                        return false;
                    }

                    cursor = segmentStart = target;
                    break;

                default:
                    return false;
            }
        }
    }

    private static void AppendLabel(StringBuilder text, ReadOnlySpan<byte> label)
    {
        if (text.Length > 0)
        {
            text.Append('.');
        }

        foreach (byte b in label)
        {
            if (b is > 0x20 and < 0x7F and not (byte)'.' and not (byte)'\\')
            {
                // Names compare without regard to ASCII case (RFC 6762 §16).
                text.Append(char.ToLowerInvariant((char)b));
            }
            else
            {
                text.Append('\\').Append(((int)b).ToString("d3"));
            }
        }
    }

    private bool TryReadUInt16(out ushort value)
    {
        value = 0;
        if (_position > _message.Length - 2)
        {
            return false;
        }

        value = BinaryPrimitives.ReadUInt16BigEndian(_message[_position..]);
        _position += 2;
        return true;
    }

    private bool TryReadUInt32(out uint value)
    {
        value = 0;
        if (_position > _message.Length - 4)
        {
            return false;
        }

        value = BinaryPrimitives.ReadUInt32BigEndian(_message[_position..]);
        _position += 4;
        return true;
    }
}
