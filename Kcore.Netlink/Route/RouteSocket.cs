using System.Collections.Immutable;
using System.Net.Sockets;
using Kcore.Netlink.Interop;
using Kcore.Netlink.Messages;
using Kcore.Netlink.Namespaces;

namespace Kcore.Netlink.Route;

/// <summary>
/// Asks and tells the kernel's routing netlink family (rtnetlink(7)) about the network namespace it was opened in.
/// </summary>
/// <remarks>
/// Calls block, but only for the kernel's own work: it answers before the send returns. Usable from any thread, by one
/// caller at a time.
/// </remarks>
public sealed partial class RouteSocket : IDisposable
{
    private const int BufferBytesWanted = 8 * 1024 * 1024;
    private const int MessagesPerSendMax = 1000;

    /// <summary>What one queued error is charged to the receive buffer, generously, with text (skb truesize).</summary>
    private const int QueuedErrorBytes = 2304;

    /// <summary>Kernel datagrams grow with the reader's buffer up to 32 KiB; single answers stay far below this.</summary>
    private const int ReceiveBytes = 128 * 1024;

    private static readonly TimeSpan AnswerLimit = TimeSpan.FromSeconds(30);

    private readonly SafeSocketHandle _handle;
    private readonly byte[] _receive = new byte[ReceiveBytes];
    private readonly int _messagesPerSend;
    private readonly int _bytesPerSend;
    private uint _sequence;

    private RouteSocket(SafeSocketHandle handle)
    {
        _handle = handle;
        NetlinkHandle.SetOption(handle, LibC.SOL_NETLINK, LibC.NETLINK_EXT_ACK, 1, "ask for error texts");
        NetlinkHandle.SetOption(handle, LibC.SOL_NETLINK, LibC.NETLINK_CAP_ACK, 1, "ask for short acknowledgements");
        NetlinkHandle.SetOption(handle, LibC.SOL_NETLINK, LibC.NETLINK_GET_STRICT_CHK, 1, "ask for strict checks");
        NetlinkHandle.RaiseBuffer(handle, LibC.SO_SNDBUFFORCE, LibC.SO_SNDBUF, BufferBytesWanted);
        NetlinkHandle.SetTimeouts(handle, AnswerLimit);

        // Every message of a send may fail and queue an error, and an overrun receive buffer loses them for good.
        _messagesPerSend = Math.Clamp(
            NetlinkHandle.BufferBytes(handle, LibC.SO_RCVBUF) / QueuedErrorBytes, 1, MessagesPerSendMax);
        _bytesPerSend = NetlinkHandle.BufferBytes(handle, LibC.SO_SNDBUF) / 4;
    }

    /// <summary>Opens a socket in the namespace of the calling thread.</summary>
    public static RouteSocket Open()
    {
        SafeSocketHandle handle = NetlinkHandle.Open(NetlinkHandle.ProtocolRoute, [], BufferBytesWanted);
        try
        {
            return new RouteSocket(handle);
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    /// <summary>Opens a socket in another namespace.</summary>
    public static RouteSocket Open(NetworkNamespace ns) => ns.Run(Open);

    /// <summary>
    /// Sends a batch, as many messages at a time as are safe, and gathers what was refused. An acknowledgement is asked
    /// for on the last message of a send only; errors of the others arrive unasked and before it.
    /// </summary>
    /// <exception cref="NetlinkException">
    /// The outcome of some messages is unknown (send failed, answers lost): observe before doing anything else.
    /// </exception>
    public BatchResult Execute(RouteBatch batch) =>
        batch.WithDescriptors(() =>
        {
            ImmutableArray<MessageFailure>.Builder failures = ImmutableArray.CreateBuilder<MessageFailure>();
            for (int first = 0; first < batch.Count;)
            {
                int end = EndOfSend(batch, first);
                ExecuteOne(batch, first, end, failures);
                first = end;
            }

            return new BatchResult(batch.Count, failures.ToImmutable());
        });

    public void Dispose() => _handle.Dispose();

    private int EndOfSend(RouteBatch batch, int first)
    {
        int end = first;
        for (int bytes = 0; end < batch.Count && end - first < _messagesPerSend; end++)
        {
            bytes += batch.LengthOf(end);
            if (bytes > _bytesPerSend && end > first)
            {
                break;
            }
        }

        return end;
    }

    private void ExecuteOne(
        RouteBatch batch, int first, int end, ImmutableArray<MessageFailure>.Builder failures)
    {
        uint firstSequence = _sequence + 1;
        for (int index = first; index < end; index++)
        {
            batch.Stamp(index, ++_sequence, acknowledge: index == end - 1);
        }

        NetlinkHandle.Send(_handle, batch.Messages(first, end));
        while (true)
        {
            int received = NetlinkHandle.Receive(_handle, _receive);
            var reader = new MessageReader(_receive.AsSpan(0, received));
            while (reader.TryRead(out NetlinkMessage message))
            {
                ThrowIfOverrun(message);

                // Answers to an earlier call that gave up are older and fall out of the range, also across the wrap.
                uint offset = message.Sequence - firstSequence;
                if (message.Type != Nlm.Error || offset >= (uint)(end - first))
                {
                    continue;
                }

                int index = first + (int)offset;
                if (ErrorDecoder.Decode(message) is { } error)
                {
                    failures.Add(new MessageFailure(index, batch.Describe(index), error));
                }

                if (index == end - 1)
                {
                    return;
                }
            }
        }
    }

    private static void ThrowIfOverrun(scoped in NetlinkMessage message)
    {
        if (message.Type == Nlm.Overrun)
        {
            throw new NetlinkException("receive from the kernel", new NetlinkError(Errno.ENOBUFS));
        }
    }
}
