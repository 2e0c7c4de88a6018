namespace Kcore.Gossip.Wire;

internal static class IdCodec
{
    public static void WriteId(this MessagePackWriter writer, NodeId id)
    {
        Span<byte> bytes = stackalloc byte[NodeId.ByteCount];
        id.WriteBytes(bytes);
        writer.WriteBinary(bytes);
    }

    public static NodeId ReadId(this ref MessagePackReader reader)
    {
        ReadOnlySpan<byte> bytes = reader.ReadBinary(NodeId.ByteCount);
        return bytes.Length == NodeId.ByteCount
            ? NodeId.FromBytes(bytes)
            : throw new WireFormatException($"an id of {bytes.Length} bytes");
    }

    /// <summary>Starts an array of at least so many elements; returns how many extra ones to skip at its end.</summary>
    public static int BeginArray(this ref MessagePackReader reader, int atLeast)
    {
        int count = reader.ReadArrayHeader(atLeast + 16);
        return count >= atLeast ? count - atLeast : throw new WireFormatException($"{count} elements where {atLeast} belong");
    }

    public static void EndArray(this ref MessagePackReader reader, int extra)
    {
        for (int i = 0; i < extra; i++)
        {
            reader.Skip();
        }
    }
}
