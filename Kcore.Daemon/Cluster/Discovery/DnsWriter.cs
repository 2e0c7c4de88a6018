using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace Kcore.Daemon.Cluster.Discovery;

/// <summary>Writes messages made of our own names: lower-case ASCII labels without escapes.</summary>
internal sealed class DnsWriter
{
    private const ushort ClassInternet = 1;
    private const ushort TopBit = 0x8000;
    private const ushort ResponseAuthoritative = 0x8400;

    private readonly ArrayBufferWriter<byte> _buffer = new(512);
    private readonly Dictionary<string, int> _names = new(StringComparer.Ordinal);

    public static byte[] Write(DnsMessage message)
    {
        var writer = new DnsWriter();
        writer.WriteUInt16(message.Id);
        writer.WriteUInt16(message.IsResponse ? ResponseAuthoritative : (ushort)0);
        writer.WriteUInt16((ushort)message.Questions.Length);
        writer.WriteUInt16((ushort)message.Answers.Length);
        writer.WriteUInt16(0);
        writer.WriteUInt16((ushort)message.Additional.Length);
        foreach (DnsQuestion question in message.Questions)
        {
            writer.WriteName(question.Name);
            writer.WriteUInt16((ushort)question.Type);
            writer.WriteUInt16((ushort)(ClassInternet | (question.WantsUnicast ? TopBit : 0)));
        }

        foreach (DnsRecord record in message.Records)
        {
            // A legacy resolver, whose question and id are repeated, knows no cache-flush bit (RFC 6762 §6.7).
            bool mayFlush = message.IsResponse && message.Questions.IsEmpty;
            writer.WriteRecord(record, mayFlush);
        }

        return writer._buffer.WrittenSpan.ToArray();
    }

    private void WriteRecord(DnsRecord record, bool mayFlush)
    {
        WriteName(record.Name);
        DnsType type = record switch
        {
            DnsRecord.Pointer => DnsType.Ptr,
            DnsRecord.Service => DnsType.Srv,
            DnsRecord.Text => DnsType.Txt,
            DnsRecord.Address => DnsType.A,
            _ => throw new ArgumentException($"No such record: {record}.", nameof(record)),
        };
        WriteUInt16((ushort)type);

        // Pointers are shared by all nodes; the rest is this node's alone and replaces what caches hold (§10.2).
        WriteUInt16((ushort)(ClassInternet | (mayFlush && type != DnsType.Ptr ? TopBit : 0)));
        Span<byte> seconds = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(seconds, (uint)record.TimeToLive.TotalSeconds);
        _buffer.Write(seconds);

        // The length of data with a compressed name in it is known only once it is written, and this buffer does not
        // go back; so the data is laid out first for its size.
        ReadOnlySpan<byte> data = Data(record, _buffer.WrittenCount + 2);
        WriteUInt16((ushort)data.Length);
        _buffer.Write(data);
    }

    private ReadOnlySpan<byte> Data(DnsRecord record, int offset)
    {
        var data = new ArrayBufferWriter<byte>();
        Span<byte> number = stackalloc byte[6];
        number.Clear();
        switch (record)
        {
            case DnsRecord.Pointer pointer:
                AppendName(data, pointer.Target, offset);
                break;
            case DnsRecord.Service service:
                BinaryPrimitives.WriteUInt16BigEndian(number[4..], service.Port);
                data.Write(number);
                AppendName(data, service.Host, offset);
                break;
            case DnsRecord.Text text:
                foreach (string entry in text.Strings)
                {
                    data.Write<byte>([(byte)entry.Length]);
                    data.Write(Encoding.ASCII.GetBytes(entry));
                }

                break;
            case DnsRecord.Address address:
                data.Write(address.Value.GetAddressBytes());
                break;
        }

        return data.WrittenSpan;
    }

    private void WriteName(string name) => AppendName(_buffer, name, 0);

    /// <param name="target">Where to write.</param>
    /// <param name="name">What to write; a tail of it that stands in the message already becomes a pointer.</param>
    /// <param name="offset">Where in the message <paramref name="target"/> begins.</param>
    private void AppendName(ArrayBufferWriter<byte> target, string name, int offset)
    {
        string rest = name;
        while (rest.Length > 0)
        {
            if (_names.TryGetValue(rest, out int position))
            {
                target.Write<byte>([(byte)(0xC0 | (position >> 8)), (byte)position]);
                return;
            }

            // Pointers have 14 bits.
            int here = offset + target.WrittenCount;
            if (here < 0x4000)
            {
                _names.Add(rest, here);
            }

            int dot = rest.IndexOf('.', StringComparison.Ordinal);
            string label = dot < 0 ? rest : rest[..dot];
            target.Write<byte>([(byte)label.Length]);
            target.Write(Encoding.ASCII.GetBytes(label));
            rest = dot < 0 ? "" : rest[(dot + 1)..];
        }

        target.Write<byte>([0]);
    }

    private void WriteUInt16(ushort value)
    {
        Span<byte> bytes = stackalloc byte[2];
        BinaryPrimitives.WriteUInt16BigEndian(bytes, value);
        _buffer.Write(bytes);
    }
}
