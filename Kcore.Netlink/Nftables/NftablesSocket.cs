using System.Buffers.Binary;
using System.Net.Sockets;
using Kcore.Netlink.Interop;
using Kcore.Netlink.Messages;
using Kcore.Netlink.Namespaces;
using Kcore.Netlink.Route;

namespace Kcore.Netlink.Nftables;

/// <summary>
/// Asks nftables of the namespace it was opened in what can be asked in a message: whether anything was committed since, and what the
/// elements of a set have counted. Rules are read and written by others. Takes CAP_NET_ADMIN.
/// </summary>
/// <remarks>Usable from any thread, by one caller at a time.</remarks>
public sealed class NftablesSocket : IDisposable
{
    private const int SendBytes = 512;
    private const int ReceiveBytes = 128 * 1024;
    private const int BufferBytesWanted = 1024 * 1024;
    private const int DumpTriesMax = 16;

    private static readonly TimeSpan AnswerLimit = TimeSpan.FromSeconds(30);

    private readonly SafeSocketHandle _handle;
    private readonly byte[] _receive = new byte[ReceiveBytes];
    private uint _sequence;

    private NftablesSocket(SafeSocketHandle handle) => _handle = handle;

    private delegate bool Answer(scoped in NetlinkMessage message);

    /// <summary>Opens a socket in the namespace of the calling thread.</summary>
    /// <exception cref="NetlinkException">The kernel has no nfnetlink.</exception>
    public static NftablesSocket Open()
    {
        SafeSocketHandle handle = NetlinkHandle.Open(NetlinkHandle.ProtocolNetfilter, [], BufferBytesWanted);
        try
        {
            NetlinkHandle.SetOption(handle, LibC.SOL_NETLINK, LibC.NETLINK_CAP_ACK, 1, "ask for short acknowledgements");
            NetlinkHandle.SetTimeouts(handle, AnswerLimit);
            return new NftablesSocket(handle);
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    /// <summary>Opens a socket in another namespace.</summary>
    public static NftablesSocket Open(NetworkNamespace ns) => ns.Run(Open);

    /// <summary>
    /// The number of the namespace's ruleset: every transaction that is committed, by whomever and to whatever table, adds one (and
    /// one more in place of 0). As long as it is the same, tables, chains, rules, sets and the elements that were put into sets
    /// are the same. What packets do is not counted: counters, elements with a time-out, sets that rules add to.
    /// </summary>
    /// <remarks><c>nf_tables_commit</c> and <c>nf_tables_getgen</c> (net/netfilter/nf_tables_api.c): <c>base_seq</c>.</remarks>
    /// <exception cref="NetlinkException">EPERM without CAP_NET_ADMIN; others: the kernel has no nftables.</exception>
    public uint ReadGeneration()
    {
        uint? generation = null;
        Ask("read the generation of nftables", NftablesMessages.GetGeneration, 0, (ref _) => { }, (scoped in message) =>
        {
            generation = NftablesMessages.GenerationOf(message);
            return generation is not null;
        });
        return generation ?? throw NetlinkException.Malformed("the kernel told no generation of nftables");
    }

    /// <summary>What the elements of a set have counted, those that count; keys as they are in the kernel.</summary>
    /// <param name="family">NFPROTO_*: 1 inet, 7 bridge.</param>
    /// <exception cref="NetlinkException">ENOENT when there is no such set; EAGAIN when it kept changing.</exception>
    public IReadOnlyList<ElementCount> DumpCounts(byte family, string table, string set)
    {
        for (int attempt = 0; attempt < DumpTriesMax; attempt++)
        {
            List<ElementCount> counts = [];
            bool interrupted = Ask(
                "read the elements of a set",
                NftablesMessages.GetSetElements,
                Nlm.Dump,
                (ref writer) =>
                {
                    writer.PutString(NftablesMessages.ListTable, table);
                    writer.PutString(NftablesMessages.ListSet, set);
                },
                (scoped in message) =>
                {
                    NftablesMessages.ReadCounts(message, counts);
                    return false;
                },
                family);
            if (!interrupted)
            {
                return counts;
            }
        }

        throw new NetlinkException("read the elements of a set", new NetlinkError(Errno.EAGAIN, "it changes faster than it can be read"));
    }

    public void Dispose() => _handle.Dispose();

    private delegate void RequestBody(ref MessageWriter writer);

    /// <summary>
    /// Sends one request and takes its answers until the last, which is an acknowledgement, an end of dump, or what the caller
    /// calls so. Returns whether the ruleset changed during a dump (NLM_F_DUMP_INTR).
    /// </summary>
    private bool Ask(string operation, ushort type, ushort flags, RequestBody body, Answer answer, byte family = 0)
    {
        Span<byte> buffer = stackalloc byte[SendBytes];
        var writer = new MessageWriter(buffer, type, (ushort)(flags | Nlm.Request));
        writer.Take(NftablesMessages.BodyBytes)[0] = family;
        body(ref writer);
        writer.Finish();
        uint sequence = ++_sequence;
        BinaryPrimitives.WriteUInt32LittleEndian(buffer[8..], sequence);
        NetlinkHandle.Send(_handle, buffer[..writer.Length]);
        bool interrupted = false;
        NetlinkException? failure = null;
        while (true)
        {
            int received = NetlinkHandle.Receive(_handle, _receive);
            var reader = new MessageReader(_receive.AsSpan(0, received));
            while (reader.TryRead(out NetlinkMessage message))
            {
                if (message.Sequence != sequence)
                {
                    continue;
                }

                interrupted |= (message.Flags & Nlm.DumpInterrupted) != 0;
                if (message.Type is Nlm.Error or Nlm.Done)
                {
                    return (failure, ErrorDecoder.Decode(message)) switch
                    {
                        ({ } malformed, _) => throw malformed,
                        (_, { } error) => throw new NetlinkException(operation, error),
                        _ => interrupted,
                    };
                }

                try
                {
                    if (answer(message))
                    {
                        return interrupted;
                    }
                }
                catch (NetlinkException e)
                {
                    // A dump that is left half-read would make the kernel refuse the next.
                    failure ??= e;
                }
            }
        }
    }
}
