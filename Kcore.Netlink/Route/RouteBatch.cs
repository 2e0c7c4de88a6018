using System.Buffers.Binary;
using Kcore.Netlink.Messages;
using Kcore.Netlink.Namespaces;

namespace Kcore.Netlink.Route;

/// <summary>
/// Requests to be sent together. Every building method returns the position of its message, by which
/// <see cref="BatchResult"/> speaks of it. The kernel works through them in order; it is not a transaction.
/// </summary>
/// <remarks>Not thread-safe. May be executed more than once.</remarks>
public sealed partial class RouteBatch
{
    /// <summary>No message built here comes near; it bounds what one building method may write.</summary>
    private const int MessageBytesMax = 4096;

    private readonly List<Entry> _entries = [];
    private readonly List<DescriptorSlot> _descriptors = [];
    private byte[] _buffer = new byte[2 * MessageBytesMax];
    private int _length;

    private delegate void Body(ref MessageWriter writer);

    public int Count => _entries.Count;

    /// <summary>What the message at a position is to do, for people.</summary>
    public string Describe(int index) =>
        _entries[index] is { LinkIndex: > 0 } entry ? $"{entry.Verb} on link {entry.LinkIndex}" : _entries[index].Verb;

    /// <summary>The bytes of one message; its sequence number is that of the last execution.</summary>
    internal ReadOnlySpan<byte> Message(int index) => _buffer.AsSpan(_entries[index].Start, _entries[index].Length);

    /// <summary>The bytes of messages <paramref name="first"/> up to, not including, <paramref name="end"/>.</summary>
    internal ReadOnlySpan<byte> Messages(int first, int end) =>
        _buffer.AsSpan(_entries[first].Start, _entries[end - 1].Start + _entries[end - 1].Length - _entries[first].Start);

    internal int LengthOf(int index) => _entries[index].Length;

    internal void Stamp(int index, uint sequence, bool acknowledge)
    {
        Span<byte> header = _buffer.AsSpan(_entries[index].Start, MessageWriter.HeaderBytes);
        ushort flags = BinaryPrimitives.ReadUInt16LittleEndian(header[6..]);
        flags = (ushort)(acknowledge ? flags | Nlm.Ack : flags & ~Nlm.Ack);
        BinaryPrimitives.WriteUInt16LittleEndian(header[6..], flags);
        BinaryPrimitives.WriteUInt32LittleEndian(header[8..], sequence);
    }

    /// <summary>
    /// Writes the descriptors of the namespaces the messages name and holds them open while <paramref name="send"/> runs:
    /// a closed and reused descriptor number would name a different namespace.
    /// </summary>
    internal T WithDescriptors<T>(Func<T> send)
    {
        int held = 0;
        try
        {
            foreach (DescriptorSlot slot in _descriptors)
            {
                bool added = false;
                slot.Namespace.Handle.DangerousAddRef(ref added);
                held++;
                BinaryPrimitives.WriteInt32LittleEndian(
                    _buffer.AsSpan(slot.Offset), (int)slot.Namespace.Handle.DangerousGetHandle());
            }

            return send();
        }
        finally
        {
            foreach (DescriptorSlot slot in _descriptors.Take(held))
            {
                slot.Namespace.Handle.DangerousRelease();
            }
        }
    }

    private int Add(string verb, int linkIndex, ushort type, ushort flags, Body body)
    {
        if (_buffer.Length - _length < MessageBytesMax)
        {
            Array.Resize(ref _buffer, _buffer.Length * 2);
        }

        var writer = new MessageWriter(_buffer.AsSpan(_length, MessageBytesMax), type, (ushort)(flags | Nlm.Request));
        int descriptors = _descriptors.Count;
        try
        {
            body(ref writer);
        }
        catch
        {
            _descriptors.RemoveRange(descriptors, _descriptors.Count - descriptors);
            throw;
        }

        int length = writer.Finish().Length;
        _entries.Add(new Entry(_length, length, verb, linkIndex));
        _length += length;
        return _entries.Count - 1;
    }

    /// <summary>Leaves room for a descriptor that is written at execution.</summary>
    private void PutNamespace(ref MessageWriter writer, NetworkNamespace ns)
    {
        writer.PutInt32(Ifla.NamespaceDescriptor, -1);
        _descriptors.Add(new DescriptorSlot(_length + writer.Length - sizeof(int), ns));
    }

    private readonly record struct Entry(int Start, int Length, string Verb, int LinkIndex);

    private readonly record struct DescriptorSlot(int Offset, NetworkNamespace Namespace);
}
