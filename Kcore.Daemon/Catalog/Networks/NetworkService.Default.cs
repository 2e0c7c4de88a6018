using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Net;
using System.Security.Cryptography;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Catalog.View;
using Kcore.Daemon.Cluster;
using Kcore.Daemon.Storage;

namespace Kcore.Daemon.Catalog.Networks;

internal sealed partial class NetworkService
{
    private static readonly TimeSpan Recheck = TimeSpan.FromSeconds(1);

    private bool _toldNoSubnet;

    /// <summary>
    /// Makes the network <see cref="DefaultName"/> of this node, at its first start as at any later one that finds it
    /// missing. Where the operator does not want it, it goes as soon as no NIC uses it.
    /// </summary>
    public async Task KeepDefaultAsync(bool wanted, TimeProvider time, CancellationToken stoppingToken)
    {
        while (true)
        {
            (CatalogSnapshot now, long revision) = catalog.Current.Read();

            // Without itself among the members the snapshot is the empty one from before the first look.
            if (cluster.State.Current.Phase == ClusterPhase.Member
                && now.Gossip.Members.Find(self.Id) is not null
                && wanted != now.View.LocalNetworks.Any(IsOwnDefault))
            {
                await ChangeDefaultAsync(wanted, stoppingToken);
            }

            // What did not happen must not stay registered.
            using CancellationTokenSource woken = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken);
            await Task.WhenAny(catalog.Current.ChangedSince(revision, woken.Token), Task.Delay(Recheck, time, woken.Token));
            await woken.CancelAsync();
            stoppingToken.ThrowIfCancellationRequested();
        }
    }

    /// <summary>
    /// Subnets the network is taken from: the first that meets nothing this host or the cluster has. So most nodes have the
    /// same one, and an overlay that would overlap it is refused wherever it is asked for.
    /// </summary>
    internal static IEnumerable<IPAddress> DefaultGateways() =>
        Enumerable.Range(0, 256).Select(i => new IPAddress([10, 222, (byte)i, 1]))
            .Concat(Enumerable.Range(0, 256).Select(i => new IPAddress([172, 29, (byte)i, 1])));

    private bool IsOwnDefault(Network network) => network.Home == self.Id && network.Name == DefaultName;

    private async Task ChangeDefaultAsync(bool wanted, CancellationToken token)
    {
        await _turn.WaitAsync(token);
        try
        {
            CatalogSnapshot now = catalog.Current.Current;
            Network? present = now.View.LocalNetworks.FirstOrDefault(IsOwnDefault);
            if (wanted && present is null)
            {
                await MakeDefaultAsync(now, token);
            }
            else if (!wanted && present is not null && UsersOf(present, now).IsEmpty)
            {
                await ClaimAsync(DefaultName, self.Id, present.Uid, null, present.Created, now.View, token);
            }
        }
        catch (Exception e) when (e is RefusedException or StorageException)
        {
            // Not a member any more, or the disk is full: asked again in a second.
        }
        finally
        {
            _turn.Release();
        }
    }

    private async Task MakeDefaultAsync(CatalogSnapshot now, CancellationToken token)
    {
        ImmutableArray<IPNetwork> taken = [.. HostSubnets.Read().Select(s => s.Subnet), .. HostSubnets.Routes()];
        NetworkSpec? spec = DefaultGateways()
            .Select(g => new NetworkSpec { Type = NetworkType.Nat, Gateway = g, PrefixLength = 24, OutboundNat = true })
            .FirstOrDefault(s => !taken.Any(t => HostSubnets.Overlap(t, s.Subnet)) && IsFree(s, now));
        if (spec is not null)
        {
            // Always the same uid: NICs of the network stay its own should it ever be made anew.
            await ClaimAsync(DefaultName, self.Id, DefaultUid(), spec, null, now.View, token);
        }
        else if (!_toldNoSubnet)
        {
            _toldNoSubnet = true;
            events.Add("NetworkFailed", "network 'default' was not made: every subnet it could have overlaps another of this host", self.Id.ToString(), DefaultName);
        }
    }

    private bool IsFree(NetworkSpec spec, CatalogSnapshot now)
    {
        try
        {
            LocalPlace.Check(DefaultName, spec, self.Id, now);
            return true;
        }
        catch (RefusedException)
        {
            return false;
        }
    }

    private UInt128 DefaultUid()
    {
        Span<byte> input = stackalloc byte[16 + DefaultName.Length];
        BinaryPrimitives.WriteUInt128BigEndian(input, self.Id.Value);
        System.Text.Encoding.ASCII.GetBytes(DefaultName, input[16..]);
        return BinaryPrimitives.ReadUInt128BigEndian(SHA256.HashData(input));
    }
}
