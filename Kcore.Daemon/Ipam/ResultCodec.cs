using System.Diagnostics.CodeAnalysis;
using Kcore.Raft;

namespace Kcore.Daemon.Ipam;

/// <summary>Bytes of a <see cref="ReplicatedResult"/>, for the answer to a forwarded command.</summary>
public static class ResultCodec
{
    /// <summary>Bound on the text of a refusal, in bytes of UTF-8.</summary>
    public const int TextBytesMax = 4096;

    private const byte Version = 1;

    public static byte[] Encode(ReplicatedResult result)
    {
        var writer = new FieldWriter();
        writer.U8(Version);
        switch (result)
        {
            case ReplicatedResult.Granted granted:
                writer.U8(2);
                CommandCodec.WriteAddress(writer, granted.Address);
                writer.U8((byte)granted.PrefixLength);
                CommandCodec.WriteAddress(writer, granted.Gateway);
                break;
            case ReplicatedResult.Refused refused:
                writer.U8(3);
                writer.U8((byte)refused.Code);
                writer.Text(refused.Text);
                break;
            case ReplicatedResult.Hashed hashed:
                writer.U8(4);
                writer.U64(hashed.Index);
                CommandCodec.WriteHash(writer, hashed.Hash);
                break;
            case ReplicatedResult.Parked parked:
                writer.U8(5);
                writer.Id(parked.Holder);
                writer.U32((uint)parked.Addresses.Length);
                foreach (ParkedAddress address in parked.Addresses)
                {
                    CommandCodec.WriteAddress(writer, address.Address);
                    writer.U64(address.GrantIndex);
                }

                break;
            default:
                writer.U8(1);
                break;
        }

        return writer.ToArray();
    }

    /// <summary>False when the bytes are no result of this version.</summary>
    public static bool TryDecode(ReadOnlySpan<byte> bytes, [NotNullWhen(true)] out ReplicatedResult? result)
    {
        result = null;
        var reader = new FieldReader(bytes);
        if (reader.U8() != Version)
        {
            return false;
        }

        ReplicatedResult? read = reader.U8() switch
        {
            1 => ReplicatedResult.Done.Instance,
            2 => new ReplicatedResult.Granted(
                CommandCodec.ReadAddress(ref reader), reader.U8(), CommandCodec.ReadAddress(ref reader)),
            3 => ReadRefusal(ref reader),
            4 => new ReplicatedResult.Hashed(reader.U64(), CommandCodec.ReadHash(ref reader)),
            5 => ReadParked(ref reader),
            _ => null,
        };
        if (read is null || !reader.IsAtValidEnd)
        {
            return false;
        }

        result = read;
        return true;
    }

    private static ReplicatedResult.Parked ReadParked(ref FieldReader reader)
    {
        Guid holder = reader.Id();
        var addresses = new ParkedAddress[reader.Count(ReserveLimits.PerNodeMax, 12)];
        for (int i = 0; i < addresses.Length; i++)
        {
            addresses[i] = new ParkedAddress(CommandCodec.ReadAddress(ref reader), reader.U64());
        }

        return new ReplicatedResult.Parked(holder, [.. addresses]);
    }

    private static ReplicatedResult.Refused? ReadRefusal(ref FieldReader reader)
    {
        var code = (RefusalCode)reader.U8();
        string text = reader.Text(TextBytesMax);
        return Enum.IsDefined(code) ? new ReplicatedResult.Refused(code, text) : null;
    }
}
