using System.Buffers.Binary;
using Kcore.Netlink.Messages;

namespace Kcore.Netlink.Nftables;

/// <summary>Messages and attributes of linux/netfilter/nf_tables.h. Numbers are big endian there.</summary>
internal static class NftablesMessages
{
    /// <summary>struct nfgenmsg: family, version, resource.</summary>
    internal const int BodyBytes = 4;

    internal const ushort ListTable = 1;
    internal const ushort ListSet = 2;

    internal const ushort NewSetElements = Subsystem | 12;
    internal const ushort GetSetElements = Subsystem | 13;
    internal const ushort NewGeneration = Subsystem | 15;
    internal const ushort GetGeneration = Subsystem | 16;

    /// <summary>NFNL_SUBSYS_NFTABLES in the upper half of a type.</summary>
    private const ushort Subsystem = 10 << 8;

    private const ushort GenerationId = 1;
    private const ushort ListElements = 3;
    private const ushort ElementKey = 1;
    private const ushort ElementExpression = 7;
    private const ushort ElementExpressions = 11;
    private const ushort DataValue = 1;
    private const ushort ExpressionName = 1;
    private const ushort ExpressionData = 2;
    private const ushort CounterBytes = 1;
    private const ushort CounterPackets = 2;

    /// <summary>Null when the message is another.</summary>
    internal static uint? GenerationOf(scoped in NetlinkMessage message)
    {
        if (message.Type == NewGeneration)
        {
            AttributeReader attributes = message.Attributes(BodyBytes);
            while (attributes.TryRead(out NetlinkAttribute attribute))
            {
                if (attribute.Type == GenerationId)
                {
                    return BinaryPrimitives.ReverseEndianness(attribute.AsUInt32());
                }
            }
        }

        return null;
    }

    internal static void ReadCounts(scoped in NetlinkMessage message, List<ElementCount> counts)
    {
        if (message.Type != NewSetElements)
        {
            return;
        }

        AttributeReader attributes = message.Attributes(BodyBytes);
        while (attributes.TryRead(out NetlinkAttribute attribute))
        {
            AttributeReader elements = attribute.Nested;
            while (attribute.Type == ListElements && elements.TryRead(out NetlinkAttribute element))
            {
                if (ReadElement(element.Nested) is { } count)
                {
                    counts.Add(count);
                }
            }
        }
    }

    private static ElementCount? ReadElement(AttributeReader attributes)
    {
        byte[] key = [];
        (ulong Packets, ulong Bytes)? counter = null;
        while (attributes.TryRead(out NetlinkAttribute attribute))
        {
            switch (attribute.Type)
            {
                case ElementKey:
                    key = Find(attribute.Nested, DataValue).ToArray();
                    break;
                case ElementExpression:
                    counter ??= ReadCounter(attribute.Nested);
                    break;
                case ElementExpressions:
                    AttributeReader list = attribute.Nested;
                    while (list.TryRead(out NetlinkAttribute expression))
                    {
                        counter ??= ReadCounter(expression.Nested);
                    }

                    break;
            }
        }

        return counter is { } read ? new ElementCount(key, read.Packets, read.Bytes) : null;
    }

    private static (ulong Packets, ulong Bytes)? ReadCounter(AttributeReader expression)
    {
        bool isCounter = false;
        ulong packets = 0, bytes = 0;
        while (expression.TryRead(out NetlinkAttribute attribute))
        {
            if (attribute.Type == ExpressionName)
            {
                isCounter = attribute.AsString() == "counter";
            }
            else if (attribute.Type == ExpressionData && isCounter)
            {
                packets = Number(Find(attribute.Nested, CounterPackets));
                bytes = Number(Find(attribute.Nested, CounterBytes));
            }
        }

        return isCounter ? (packets, bytes) : null;
    }

    private static ReadOnlySpan<byte> Find(AttributeReader attributes, ushort type)
    {
        while (attributes.TryRead(out NetlinkAttribute attribute))
        {
            if (attribute.Type == type)
            {
                return attribute.Value;
            }
        }

        return [];
    }

    private static ulong Number(ReadOnlySpan<byte> value) => value.Length switch
    {
        0 => 0,
        8 => BinaryPrimitives.ReadUInt64BigEndian(value),
        _ => throw NetlinkException.Malformed($"a counter of nftables has {value.Length} bytes"),
    };
}
