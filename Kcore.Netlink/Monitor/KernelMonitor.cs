using System.Net.Sockets;
using System.Runtime.CompilerServices;
using Kcore.Netlink.Interop;
using Kcore.Netlink.Namespaces;

namespace Kcore.Netlink.Monitor;

/// <summary>
/// Listens to what the kernel says about links, neighbours, forwarding entries, IPv4 addresses, routes and settings and, if asked, nftables.
/// It hears from the moment it is opened: open it, read the state, then follow the changes.
/// </summary>
public sealed class KernelMonitor : IDisposable
{
    /// <summary>RTNLGRP_LINK, RTNLGRP_NEIGH, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV4_NETCONF (linux/rtnetlink.h).</summary>
    private static readonly int[] RouteGroups = [1, 3, 5, 7, 24];

    /// <summary>NFNLGRP_NFTABLES (linux/netfilter/nfnetlink.h).</summary>
    private static readonly int[] NetfilterGroups = [7];

    private const int QueueBytes = 8 * 1024 * 1024;
    private const int ReceiveBytes = 64 * 1024;

    private readonly Source _route;
    private readonly Source? _netfilter;

    private KernelMonitor(Source route, Source? netfilter)
    {
        _route = route;
        _netfilter = netfilter;
    }

    /// <summary>Listens in the network namespace of the calling thread.</summary>
    /// <param name="nftables">Also listen to nftables, which takes CAP_NET_ADMIN.</param>
    public static KernelMonitor Open(bool nftables = true)
    {
        Source route = Source.Open(NetlinkHandle.ProtocolRoute, RouteGroups, QueueBytes);
        try
        {
            return new KernelMonitor(
                route, nftables ? Source.Open(NetlinkHandle.ProtocolNetfilter, NetfilterGroups, QueueBytes) : null);
        }
        catch
        {
            route.Dispose();
            throw;
        }
    }

    /// <summary>Listens in another namespace.</summary>
    public static KernelMonitor Open(NetworkNamespace ns, bool nftables = true) => ns.Run(() => Open(nftables));

    /// <summary>Opens with a given queue, so that an overrun can be provoked.</summary>
    internal static KernelMonitor OpenWithQueue(NetworkNamespace ns, int queueBytes) =>
        ns.Run(() => new KernelMonitor(Source.Open(NetlinkHandle.ProtocolRoute, RouteGroups, queueBytes), null));

    /// <summary>
    /// Changes as they come, one reader at a time. A full queue appears as <see cref="KernelChange.Resync"/>, not as an
    /// error. What arrives while a reader leaves may be lost: a new reader starts by reading the state.
    /// </summary>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="NetlinkException">The kernel closed or refused the socket.</exception>
    public async IAsyncEnumerable<KernelChange> ReadAsync(
        [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        List<KernelChange> changes = [];
        Source[] sources = _netfilter is null ? [_route] : [_route, _netfilter];
        using var leaving = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task<int>[] pending = [.. sources.Select(s => s.ReceiveAsync(leaving.Token))];
        try
        {
            while (true)
            {
                // All that are ready are served, so a flood on one socket does not starve the other.
                await Task.WhenAny(pending);
                for (int which = 0; which < sources.Length; which++)
                {
                    if (!pending[which].IsCompleted)
                    {
                        continue;
                    }

                    changes.Clear();
                    await sources[which].TakeAsync(pending[which], changes, leaving.Token);
                    foreach (KernelChange change in changes)
                    {
                        yield return change;
                    }

                    pending[which] = sources[which].ReceiveAsync(leaving.Token);
                }
            }
        }
        finally
        {
            // A receive left behind would swallow the first notification of the next reader.
            await leaving.CancelAsync();
            await Task.WhenAll(pending).ContinueWith(
                static _ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        }
    }

    public void Dispose()
    {
        _route.Dispose();
        _netfilter?.Dispose();
    }

    /// <summary>One subscribed socket with its buffer.</summary>
    private sealed class Source(SafeSocketHandle handle, bool netfilter) : IDisposable
    {
        private readonly Socket _socket = new(handle);
        private readonly byte[] _buffer = new byte[ReceiveBytes];

        internal static Source Open(int protocol, int[] groups, int queueBytes) =>
            new(NetlinkHandle.Open(protocol, groups, queueBytes), protocol == NetlinkHandle.ProtocolNetfilter);

        internal Task<int> ReceiveAsync(CancellationToken cancellationToken) =>
            _socket.ReceiveAsync(_buffer, SocketFlags.None, cancellationToken).AsTask();

        internal async Task TakeAsync(
            Task<int> received, List<KernelChange> changes, CancellationToken cancellationToken)
        {
            try
            {
                ChangeDecoder.Decode(_buffer.AsSpan(0, await received), netfilter, changes);
            }
            catch (SocketException e) when (e.SocketErrorCode == SocketError.NoBufferSpaceAvailable)
            {
                Drain(cancellationToken);
                changes.Add(new KernelChange.Resync("the notification queue overran"));
            }
            catch (SocketException e) when (e.SocketErrorCode == SocketError.MessageSize)
            {
                changes.Add(new KernelChange.Resync("a notification was larger than the buffer"));
            }
            catch (SocketException e)
            {
                throw new NetlinkException(
                    "receive notifications", new NetlinkError((Errno)e.NativeErrorCode, e.Message));
            }
        }

        public void Dispose() => _socket.Dispose();

        /// <summary>
        /// Empties the queue before the resync is announced: the kernel reports an overrun once and then drops everything
        /// in silence until the queue is empty (netlink_overrun, netlink_rcv_wake in net/netlink/af_netlink.c). A state
        /// read before that would miss changes without a sign.
        /// </summary>
        private void Drain(CancellationToken cancellationToken)
        {
            while (NetlinkHandle.TryDiscard(handle, _buffer))
            {
                cancellationToken.ThrowIfCancellationRequested();
            }
        }
    }
}
