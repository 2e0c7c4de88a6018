using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.NetworkInformation;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Raft;

namespace Kcore.Daemon.Ipam;

/// <summary>
/// Bytes of a <see cref="ReplicatedCommand"/>: version, kind, fields (little endian, addresses in network order). A log is
/// read by newer versions for years: kinds and fields are never renumbered, a changed kind gets a new number.
/// </summary>
public static class CommandCodec
{
    /// <summary>Bound on the exclusions of one pool.</summary>
    public const int ExclusionsMax = 4096;

    /// <summary>Bound on any name, in bytes of UTF-8.</summary>
    public const int NameBytesMax = 255;

    private const byte Version = 1;

    /// <exception cref="ArgumentException">An address is not IPv4, a MAC not six bytes, or a bound is exceeded.</exception>
    public static byte[] Encode(ReplicatedCommand command)
    {
        var writer = new FieldWriter();
        writer.U8(Version);
        switch (command)
        {
            case ReplicatedCommand.Found found:
                writer.U8(1);
                writer.Id(found.ClusterId);
                writer.U32(found.Epoch);
                break;
            case ReplicatedCommand.NodeAdd add:
                writer.U8(2);
                writer.Member(add.Member);
                writer.Text(add.Name);
                break;
            case ReplicatedCommand.NodeRemove remove:
                writer.U8(9);
                writer.Id(remove.NodeUid);
                writer.Flag(remove.ReleaseLeases);
                break;
            case ReplicatedCommand.Dissolve dissolve:
                writer.U8(4);
                writer.Id(dissolve.Target);
                break;
            case ReplicatedCommand.CreatePool pool:
                writer.U8(pool.Reserve > 0 ? (byte)42 : pool.Reuse == AddressReuse.Never ? (byte)5 : (byte)34);
                WritePool(writer, pool);
                if (pool.Reserve > 0 || pool.Reuse != AddressReuse.Never)
                {
                    writer.U8((byte)pool.Reuse);
                }

                if (pool.Reserve > 0)
                {
                    writer.U8(checked((byte)pool.Reserve));
                }

                break;
            case ReplicatedCommand.DeletePool delete:
                writer.U8(6);
                writer.Id(delete.Network.Value);
                break;
            case ReplicatedCommand.Allocate allocate:
                writer.U8(allocate.ValidUntil is null ? (byte)7 : (byte)32);
                writer.Id(allocate.Attachment.Value);
                writer.Id(allocate.Network.Value);
                writer.Text(allocate.NicName);
                WriteMac(writer, allocate.Mac);
                writer.Id(allocate.NodeUid);
                writer.Flag(allocate.Wanted is not null);
                if (allocate.Wanted is not null)
                {
                    WriteAddress(writer, allocate.Wanted);
                }

                if (allocate.ValidUntil is { } until)
                {
                    writer.U64(until);
                }

                break;
            case ReplicatedCommand.Release release:
                writer.U8(release.Network is null ? (byte)8 : (byte)33);
                writer.Id(release.Attachment.Value);
                writer.Id(release.NodeUid);
                if (release.Network is { } network)
                {
                    writer.Id(network.Value);
                }

                break;
            case ReplicatedCommand.AdvanceClock advance:
                writer.U8(35);
                writer.U64(advance.Seen);
                writer.U64(advance.Millis);
                break;
            case ReplicatedCommand.Reclaim reclaim:
                writer.U8(36);
                writer.Id(reclaim.Network.Value);
                break;
            case ReplicatedCommand.MarkOrphaned mark:
                writer.U8(37);
                writer.Id(mark.Attachment.Value);
                writer.Id(mark.NodeUid);
                break;
            case ReplicatedCommand.Adopt adopt:
                writer.U8(38);
                writer.Id(adopt.Attachment.Value);
                writer.Id(adopt.NodeUid);
                break;
            case ReplicatedCommand.ReleaseOrphan release:
                writer.U8(39);
                writer.Id(release.Attachment.Value);
                break;
            case ReplicatedCommand.HashState:
                writer.U8(40);
                break;
            case ReplicatedCommand.CompareState compare:
                writer.U8(41);
                writer.U64(compare.Index);
                WriteHash(writer, compare.Hash);
                break;
            case ReplicatedCommand.GrantReserve grant:
                writer.U8(43);
                writer.Id(grant.Network.Value);
                writer.Id(grant.NodeUid);
                writer.Id(grant.Holder);
                writer.Id(grant.Instead);
                break;
            case ReplicatedCommand.UseReserve use:
                writer.U8(44);
                writer.Id(use.Attachment.Value);
                writer.Id(use.Network.Value);
                writer.Text(use.NicName);
                WriteMac(writer, use.Mac);
                writer.Id(use.NodeUid);
                WriteAddress(writer, use.Address);
                writer.U64(use.GrantIndex);
                break;
            case ReplicatedCommand.ReturnReserve back:
                writer.U8(45);
                writer.Id(back.Network.Value);
                writer.Id(back.NodeUid);
                WriteAddress(writer, back.Address);
                writer.U64(back.GrantIndex);
                writer.Flag(back.WasUsed);
                break;
            case ReplicatedCommand.Recover recover:
                writer.U8(48);
                writer.U32(recover.Epoch);
                break;
            case ReplicatedCommand.AdoptLost adopt:
                writer.U8(49);
                writer.Id(adopt.Attachment.Value);
                writer.Id(adopt.Network.Value);
                writer.Text(adopt.NicName);
                WriteMac(writer, adopt.Mac);
                writer.Id(adopt.NodeUid);
                WriteAddress(writer, adopt.Address);
                break;
            case ReplicatedCommand.FinishRecovery:
                writer.U8(50);
                break;
            case ReplicatedCommand.BeginMove begin:
                writer.U8(64);
                writer.Id(begin.Move);
                MoveTable.WriteNic(writer, begin.Nic);
                writer.U64(begin.ValidUntil);
                break;
            case ReplicatedCommand.HandOver over:
                writer.U8(65);
                writer.Id(over.Move);
                break;
            case ReplicatedCommand.AbortMove abort:
                writer.U8(66);
                writer.Id(abort.Move);
                break;
            case ReplicatedCommand.AcknowledgeMove known:
                writer.U8(67);
                writer.Id(known.Move);
                writer.Id(known.NodeUid);
                break;
            case ReplicatedCommand.JoinMesh join:
                writer.U8(16);
                writer.Id(join.NodeUid);
                break;
            default:
                throw new ArgumentException($"{command} has no encoding.", nameof(command));
        }

        return writer.ToArray();
    }

    /// <summary>False when the bytes are no command of this version.</summary>
    public static bool TryDecode(ReadOnlySpan<byte> bytes, [NotNullWhen(true)] out ReplicatedCommand? command) => TryDecode(bytes, out command, out _);

    /// <summary>False when the bytes are no command of this version.</summary>
    /// <param name="bytes">An entry of the log.</param>
    /// <param name="command">What it says.</param>
    /// <param name="isNewer">
    /// They may be one of a newer version: of an encoding or kind that came after this. Whatever else can't be read here can't
    /// be read by any version, for a kind never changes.
    /// </param>
    public static bool TryDecode(ReadOnlySpan<byte> bytes, [NotNullWhen(true)] out ReplicatedCommand? command, out bool isNewer)
    {
        command = null;
        var reader = new FieldReader(bytes);
        byte version = reader.U8();
        isNewer = version > Version;
        if (version != Version)
        {
            return false;
        }

        bool isKnown = true;
        ReplicatedCommand? read = reader.U8() switch
        {
            1 => new ReplicatedCommand.Found(reader.Id(), reader.U32()),
            2 => new ReplicatedCommand.NodeAdd(reader.Member(), reader.Text(NameBytesMax)),
            4 => new ReplicatedCommand.Dissolve(reader.Id()),
            5 => ReadPool(ref reader),
            6 => new ReplicatedCommand.DeletePool(new NetworkUid(reader.Id())),
            7 => ReadAllocate(ref reader),
            8 => new ReplicatedCommand.Release(new AttachmentId(reader.Id()), reader.Id()),

            // 3 was a removal that said nothing of leases; no version wrote one.
            9 => new ReplicatedCommand.NodeRemove(reader.Id(), reader.Flag()),
            16 => new ReplicatedCommand.JoinMesh(reader.Id()),
            32 => ReadAllocate(ref reader) with { ValidUntil = reader.U64() },
            33 => new ReplicatedCommand.Release(new AttachmentId(reader.Id()), reader.Id(), new NetworkUid(reader.Id())),
            34 => ReadPool(ref reader) is { } pool && reader.U8() == (byte)AddressReuse.Quarantine ? pool with { Reuse = AddressReuse.Quarantine } : null,
            35 => new ReplicatedCommand.AdvanceClock(reader.U64(), reader.U64()),
            36 => new ReplicatedCommand.Reclaim(new NetworkUid(reader.Id())),
            37 => new ReplicatedCommand.MarkOrphaned(new AttachmentId(reader.Id()), reader.Id()),
            38 => new ReplicatedCommand.Adopt(new AttachmentId(reader.Id()), reader.Id()),
            39 => new ReplicatedCommand.ReleaseOrphan(new AttachmentId(reader.Id())),
            40 => new ReplicatedCommand.HashState(),
            41 => new ReplicatedCommand.CompareState(reader.U64(), ReadHash(ref reader)),
            42 => ReadReservingPool(ref reader),
            43 => new ReplicatedCommand.GrantReserve(new NetworkUid(reader.Id()), reader.Id(), reader.Id(), reader.Id()),
            44 => new ReplicatedCommand.UseReserve(
                new AttachmentId(reader.Id()), new NetworkUid(reader.Id()), reader.Text(NameBytesMax), ReadMac(ref reader), reader.Id(), ReadAddress(ref reader), reader.U64()),
            45 => new ReplicatedCommand.ReturnReserve(new NetworkUid(reader.Id()), reader.Id(), ReadAddress(ref reader), reader.U64(), reader.Flag()),
            48 => new ReplicatedCommand.Recover(reader.U32()),
            49 => new ReplicatedCommand.AdoptLost(
                new AttachmentId(reader.Id()), new NetworkUid(reader.Id()), reader.Text(NameBytesMax), ReadMac(ref reader), reader.Id(), ReadAddress(ref reader)),
            50 => new ReplicatedCommand.FinishRecovery(),
            64 => ReadMove(ref reader),
            65 => new ReplicatedCommand.HandOver(reader.Id()),
            66 => new ReplicatedCommand.AbortMove(reader.Id()),
            67 => new ReplicatedCommand.AcknowledgeMove(reader.Id(), reader.Id()),
            0 or 3 => null,
            _ => Unknown(out isKnown),
        };
        isNewer = !isKnown;
        if (read is null || !reader.IsAtValidEnd)
        {
            return false;
        }

        command = read;
        return true;
    }

    private static ReplicatedCommand? Unknown(out bool isKnown)
    {
        isKnown = false;
        return null;
    }

    private static ReplicatedCommand.Allocate ReadAllocate(ref FieldReader reader) => new(
        new AttachmentId(reader.Id()),
        new NetworkUid(reader.Id()),
        reader.Text(NameBytesMax),
        ReadMac(ref reader),
        reader.Id(),
        reader.Flag() ? ReadAddress(ref reader) : null);

    // Flags that a command has no use for would be two spellings of one thing.
    private static ReplicatedCommand.BeginMove? ReadMove(ref FieldReader reader)
    {
        Guid move = reader.Id();
        MovingNic nic = MoveTable.ReadNic(ref reader, out byte flags);
        return (flags & ~MoveTable.NicFlags) == 0 ? new ReplicatedCommand.BeginMove(move, nic, reader.U64()) : null;
    }

    internal static void WritePool(FieldWriter writer, ReplicatedCommand.CreatePool pool)
    {
        if (pool.Exclusions.Length > ExclusionsMax)
        {
            throw new ArgumentException($"A pool excludes at most {ExclusionsMax} addresses.", nameof(pool));
        }

        writer.Id(pool.Network.Value);
        writer.Text(pool.Name);
        writer.U32(pool.Vni);
        WriteAddress(writer, pool.Subnet.BaseAddress);
        writer.U8((byte)pool.Subnet.PrefixLength);
        WriteAddress(writer, pool.Gateway);
        writer.U32((uint)pool.Exclusions.Length);
        foreach (IPAddress excluded in pool.Exclusions)
        {
            WriteAddress(writer, excluded);
        }
    }

    internal static ReplicatedCommand.CreatePool? ReadPool(ref FieldReader reader)
    {
        var network = new NetworkUid(reader.Id());
        string name = reader.Text(NameBytesMax);
        uint vni = reader.U32();
        uint baseAddress = ReadNumber(ref reader);
        byte prefixLength = reader.U8();
        IPAddress gateway = ReadAddress(ref reader);
        int count = reader.Count(ExclusionsMax, 4);
        ImmutableArray<IPAddress>.Builder exclusions = ImmutableArray.CreateBuilder<IPAddress>(count);
        for (int i = 0; i < count; i++)
        {
            exclusions.Add(ReadAddress(ref reader));
        }

        // A shift by 32 is a shift by 0 in C#, and a subnet with host bits can't be represented.
        bool isSubnet = prefixLength is > 0 and <= 32 && (prefixLength == 32 || baseAddress << prefixLength == 0);
        return reader.IsValid && isSubnet
            ? new ReplicatedCommand.CreatePool(
                network,
                name,
                vni,
                new IPNetwork(AddressSequence.ToAddress(baseAddress), prefixLength),
                gateway,
                exclusions.MoveToImmutable())
            : null;
    }

    // Without a reserve it would be of another kind: what compares unequal must not mean the same.
    private static ReplicatedCommand.CreatePool? ReadReservingPool(ref FieldReader reader)
    {
        ReplicatedCommand.CreatePool? pool = ReadPool(ref reader);
        var reuse = (AddressReuse)reader.U8();
        int reserve = reader.U8();
        return pool is not null && Enum.IsDefined(reuse) && reserve > 0 ? pool with { Reuse = reuse, Reserve = reserve } : null;
    }

    internal static void WriteAddress(FieldWriter writer, IPAddress address)
    {
        uint number = AddressSequence.ToNumber(address);
        writer.Raw([(byte)(number >> 24), (byte)(number >> 16), (byte)(number >> 8), (byte)number]);
    }

    internal static IPAddress ReadAddress(ref FieldReader reader) => AddressSequence.ToAddress(ReadNumber(ref reader));

    internal static void WriteHash(FieldWriter writer, UInt128 hash)
    {
        writer.U64((ulong)(hash >> 64));
        writer.U64((ulong)hash);
    }

    internal static UInt128 ReadHash(ref FieldReader reader)
    {
        ulong upper = reader.U64();
        return new UInt128(upper, reader.U64());
    }

    internal static void WriteMac(FieldWriter writer, PhysicalAddress mac)
    {
        byte[] bytes = mac.GetAddressBytes();
        if (bytes.Length != 6)
        {
            throw new ArgumentException("A MAC has six bytes.", nameof(mac));
        }

        writer.Raw(bytes);
    }

    internal static void WriteMac(FieldWriter writer, ulong mac)
    {
        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64BigEndian(bytes, mac);
        writer.Raw(bytes[2..]);
    }

    internal static PhysicalAddress ReadMac(ref FieldReader reader) => new(reader.Take(6).ToArray());

    private static uint ReadNumber(ref FieldReader reader) =>
        reader.Take(4) is [var a, var b, var c, var d] ? ((uint)a << 24) | ((uint)b << 16) | ((uint)c << 8) | d : 0;
}
