using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using Kcore.Gossip.Wire;

namespace Kcore.Gossip;

/// <summary>Bits of an entry. Unknown bits are kept.</summary>
[Flags]
public enum EntryFlags
{
    None = 0,

    /// <summary>The key is gone; the entry stays until every member knows it.</summary>
    Tombstone = 1,
}

/// <summary>
/// One fact of one origin. <see cref="Raw"/> is the record as its owner wrote it, fields of newer versions included;
/// relays pass it on unchanged and digests are taken over it.
/// </summary>
public sealed class CatalogEntry : IEquatable<CatalogEntry>
{
    private CatalogEntry(NodeId origin, string key, ulong version, ushort kind, EntryFlags flags, ReadOnlyMemory<byte> value, ReadOnlyMemory<byte> raw)
    {
        Origin = origin;
        Key = key;
        Version = version;
        Kind = kind;
        Flags = flags;
        Value = value;
        Raw = raw;
        Hash = Digest.OfEntry(origin, raw.Span);
    }

    public NodeId Origin { get; }

    /// <summary>Unique within the origin, at most <see cref="WireLimits.KeyBytes"/> bytes.</summary>
    public string Key { get; }

    /// <summary>Position in the origin's sequence of writes, from 1; for the Raft origin the log index.</summary>
    public ulong Version { get; }

    /// <summary>What the value means; this project does not look.</summary>
    public ushort Kind { get; }

    public EntryFlags Flags { get; }

    public bool IsTombstone => Flags.HasFlag(EntryFlags.Tombstone);

    public ReadOnlyMemory<byte> Value { get; }

    public ReadOnlyMemory<byte> Raw { get; }

    internal ulong Hash { get; }

    public static CatalogEntry Create(NodeId origin, string key, ulong version, ushort kind, EntryFlags flags, ReadOnlyMemory<byte> value)
    {
        var output = new ArrayBufferWriter<byte>(value.Length + key.Length + 24);
        var writer = new MessagePackWriter(output);
        writer.WriteMapHeader(5);
        writer.WriteUInt64(Fields.Key);
        writer.WriteString(key);
        writer.WriteUInt64(Fields.Version);
        writer.WriteUInt64(version);
        writer.WriteUInt64(Fields.Kind);
        writer.WriteUInt64(kind);
        writer.WriteUInt64(Fields.Flags);
        writer.WriteUInt64((ulong)flags);
        writer.WriteUInt64(Fields.Value);
        writer.WriteBinary(value.Span);
        return Parse(origin, output.WrittenMemory.ToArray());
    }

    /// <summary>Reads a stored record; false when it is damaged.</summary>
    public static bool TryParse(NodeId origin, ReadOnlyMemory<byte> raw, [NotNullWhen(true)] out CatalogEntry? entry)
    {
        try
        {
            entry = Parse(origin, raw);
            return true;
        }
        catch (WireFormatException)
        {
            entry = null;
            return false;
        }
    }

    /// <summary>Reads one record that fills <paramref name="raw"/> exactly. The memory is kept, not copied.</summary>
    /// <exception cref="WireFormatException">It is no entry within the bounds.</exception>
    internal static CatalogEntry Parse(NodeId origin, ReadOnlyMemory<byte> raw)
    {
        var reader = new MessagePackReader(raw.Span);
        string? key = null;
        ulong version = 0;
        ushort kind = 0;
        EntryFlags flags = default;
        ReadOnlyMemory<byte> value = default;
        int unknown = 0;
        int count = reader.ReadMapHeader(WireLimits.FieldsPerRecord);
        for (int i = 0; i < count; i++)
        {
            int start = reader.Position;
            switch (reader.ReadUInt64())
            {
                case Fields.Key:
                    key = reader.ReadString(WireLimits.KeyBytes);
                    break;
                case Fields.Version:
                    version = reader.ReadUInt64(WireLimits.MaxVersion);
                    break;
                case Fields.Kind:
                    kind = reader.ReadUInt16();
                    break;
                case Fields.Flags:
                    flags = (EntryFlags)reader.ReadUInt16();
                    break;
                case Fields.Value:
                    int length = reader.ReadBinary(WireLimits.ValueBytes).Length;
                    value = raw.Slice(reader.Position - length, length);
                    break;
                default:
                    reader.Skip();
                    unknown += reader.Position - start;
                    break;
            }
        }

        if (!reader.End || string.IsNullOrEmpty(key) || version == 0 || unknown > WireLimits.UnknownBytes)
        {
            throw new WireFormatException("not a catalog entry");
        }

        return new CatalogEntry(origin, key, version, kind, flags, value, raw);
    }

    public bool Equals(CatalogEntry? other) =>
        other is not null && Origin == other.Origin && Raw.Span.SequenceEqual(other.Raw.Span);

    public override bool Equals(object? obj) => Equals(obj as CatalogEntry);

    public override int GetHashCode() => Hash.GetHashCode();

    public override string ToString() => $"{Origin.Short}/{Key}@{Version}{(IsTombstone ? " tombstone" : "")}";

    private static class Fields
    {
        public const ulong Key = 1;
        public const ulong Version = 2;
        public const ulong Kind = 3;
        public const ulong Flags = 4;
        public const ulong Value = 5;
    }
}

/// <summary>
/// A change the node makes to its own origin. <see cref="Version"/> is used for the Raft origin only: the log index
/// that made it (0 stands for the last index of the batch).
/// </summary>
public sealed record LocalWrite(string Key, ushort Kind, ReadOnlyMemory<byte> Value, bool Tombstone = false, ulong Version = 0)
{
    /// <summary>Removes a key.</summary>
    public static LocalWrite Remove(string key, ushort kind) => new(key, kind, default, Tombstone: true);
}

/// <summary>The progress of one origin, as stored and as exchanged.</summary>
/// <param name="Epoch">Rises only when the owner had to start its sequence over.</param>
/// <param name="Version">Every write up to here is held (the watermark).</param>
/// <param name="GcFloor">Tombstones up to here are gone; whoever holds less needs a snapshot.</param>
/// <param name="Complete">False until a first snapshot or the whole sequence has arrived.</param>
public sealed record OriginHead(NodeId Origin, ulong Epoch, ulong Version, ulong GcFloor, bool Complete);
