using System.Collections.Immutable;
using System.Net;
using System.Net.NetworkInformation;
using Kcore.Contracts;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Catalog.Naming;
using Kcore.Daemon.Catalog.Networks;
using Kcore.Daemon.Catalog.Validation;
using Kcore.Daemon.Catalog.View;
using Kcore.Daemon.Cluster;
using Kcore.Daemon.Dataplane.Facts;
using Kcore.Daemon.Ipam;
using Kcore.Daemon.Ipam.Attachments;
using Kcore.Daemon.Ipam.Ledger;
using Kcore.Daemon.Reconciliation;
using Kcore.Daemon.Storage.Events;
using Kcore.Netlink;
using Kcore.Netlink.Namespaces;

namespace Kcore.Daemon.Dataplane.Nics;

/// <summary>Attaches and detaches NICs of this node. Attaching twice is attaching once: a repeated call finds the first one's NIC.</summary>
internal sealed class NicService(
    LocalNode self, CatalogHub catalog, AttachmentTable table, LeaseLoop leases, QuorumSight quorum, DataplaneReports kernel, Published<ServiceStatus> services, NodeIdentity identity, EventLog events, TimeProvider time)
{
    private const int MaxNicsPerNode = 4096;

    /// <summary>Without a quorum whoever asks has to know within ten seconds, and the way there and back takes some of that.</summary>
    private static readonly TimeSpan AddressPatience = TimeSpan.FromSeconds(9);

    private static readonly TimeSpan DevicePatience = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan ReleasePatience = TimeSpan.FromSeconds(3);

    public async Task<NicInfo> AttachAsync(AttachNicRequest body, CancellationToken token)
    {
        NicRequest request = NicRequest.Check(body);
        CatalogSnapshot now = catalog.Current.Current;
        Network network = Usable(request, now);
        AttachmentRecord record = Reserve(request, network, now);
        if (!record.Local)
        {
            record = await WithAddressAsync(record, token);
        }

        if (record.Address is not null)
        {
            events.Add("AddressAllocated", $"NIC {record.Name} on {record.NetworkName} has {record.Address}", self.Id.ToString(), record.NetworkName, ("mac", DerivedNames.MacText(record.Mac)));
        }

        return await ReadyAsync(record, network, token);
    }

    public async Task<ChangeReceipt> DetachAsync(string networkName, string nicName, CancellationToken token)
    {
        string name = ObjectName.Check(nicName, "NIC");
        string network = ObjectName.Check(networkName, "network");
        AttachmentRecord? released = table.Change(now =>
            now.Wanted.FirstOrDefault(r => r.Name == name && string.Equals(r.NetworkName, network, StringComparison.Ordinal)) is { } record
                ? record.PreparedFor is null ? record with { Releasing = true } : throw Arriving(name, network)
                : null);
        if (released is null)
        {
            throw NotHere(name, network);
        }

        events.Add(
            "AddressReleased",
            $"NIC {name} on {network} detached{(released.Local ? "" : $"; {released.Address} is {(IsReused(released) ? "given out again after a rest" : "not given out again")}")}",
            self.Id.ToString(),
            network);

        // Whoever detaches a NIC may go on to use its device's name; without a quorum the release itself waits for one.
        using var limit = new CancellationTokenSource(ReleasePatience, time);
        using CancellationTokenSource both = CancellationTokenSource.CreateLinkedTokenSource(token, limit.Token);
        try
        {
            await kernel.Status.WhenAsync(
                s => !s.Networks.TryGetValue(network, out NetworkHealth? health)
                    || !health.Nics.TryGetValue(name, out NicHealth? nic) || nic.AttachmentId != released.Key,
                both.Token);
            await table.Current.WhenAsync(s => !s.Records.ContainsKey(released.Id), both.Token);
        }
        catch (OperationCanceledException) when (!token.IsCancellationRequested)
        {
            // The record is durable and the lease loop goes on with it.
        }

        return new ChangeReceipt("detached", "NIC", name, self.Name);
    }

    private bool IsReused(AttachmentRecord record) =>
        catalog.Current.Current.View.NetworksByUid.TryGetValue(record.Network, out Network? network) && network.Spec.Reuse == AddressReuse.Quarantine;

    /// <summary>All NICs of the cluster, this node's own with their state of this moment.</summary>
    public ImmutableArray<NicInfo> List(string? networkName)
    {
        CatalogSnapshot now = catalog.Current.Current;
        ReconcileStatus state = kernel.Status.Current;
        IEnumerable<NicInfo> own = table.Current.Current.Wanted.Select(r => Describe(r, now, state));
        IEnumerable<NicInfo> others = now.View.Nics.Concat(now.View.Arriving.Values).Where(n => n.Node != self.Id).Select(n => Describe(n, now));
        return
        [
            .. own.Concat(others)
                .Where(n => networkName is null || string.Equals(n.Network, networkName, StringComparison.Ordinal))
                .OrderBy(n => n.Network, StringComparer.Ordinal).ThenBy(n => n.Name, StringComparer.Ordinal).ThenBy(n => n.Node, StringComparer.Ordinal),
        ];
    }

    private Network Usable(NicRequest request, CatalogSnapshot now)
    {
        Network network = now.View.Find(request.Network, self.Id);
        if (network.Conflict is { } conflict)
        {
            throw new RefusedException(ErrorCode.FailedPrecondition, $"network '{network.Name}' is in conflict: {conflict}", next: $"kctl describe network {network.Name}");
        }

        if (network.Home is null && self.VxlanDisabled)
        {
            throw new RefusedException(
                ErrorCode.FailedPrecondition,
                $"VXLAN is disabled on node {self.Name} ({self.Id}); network '{network.Name}' is not there",
                next: "attach the NIC on another node");
        }

        if (request.Address is { } wanted && (!network.Spec.Subnet.Contains(wanted) || wanted.Equals(network.Spec.Gateway)))
        {
            throw new RefusedException(ErrorCode.InvalidArgument, $"ip {wanted} is not an address guests of network '{network.Name}' can have", [$"subnet: {network.Spec.Subnet}", $"gateway: {network.Spec.Gateway}"]);
        }

        if (network.Spec.Type == NetworkType.Nat && request.Address is { } inRange && GuestRange.Of(network.Spec) is var range && !range.Contains(inRange))
        {
            throw new RefusedException(
                ErrorCode.InvalidArgument, $"ip {inRange} is outside the range of network '{network.Name}'", [$"range: {range.First} to {range.Last}"]);
        }

        if (request.Netns is { } netns)
        {
            CheckNamespace(netns);
        }

        return network;
    }

    /// <summary>Before anything is given out for it: the namespace is there and is one.</summary>
    private static void CheckNamespace(string path)
    {
        if (!File.Exists(path))
        {
            throw new RefusedException(ErrorCode.NotFound, $"network namespace {path} does not exist", next: "ip netns list");
        }

        try
        {
            using NetworkNamespace opened = NetworkNamespace.Open(path);
        }
        catch (NetlinkException e)
        {
            throw new RefusedException(ErrorCode.InvalidArgument, $"{path} is not a network namespace", [e.Message], "ip netns list");
        }
    }

    /// <summary>Decides name, MAC and device, and stores the attachment: from here on the NIC exists.</summary>
    private AttachmentRecord Reserve(NicRequest request, Network network, CatalogSnapshot now)
    {
        AttachmentRecord? existing = null;
        AttachmentRecord? made = table.Change(set =>
        {
            existing = set.Find(network.Uid, request.Name);
            if (existing is not null)
            {
                return null;
            }

            // Looked at here and not before: who drains the node waits for this turn, and then sees every NIC there is.
            if (identity.Duty != Duty.Serving || identity.Departure != Departure.None)
            {
                throw new RefusedException(
                    ErrorCode.FailedPrecondition,
                    identity.Departure != Departure.None ? $"node {self.Name} is out of its cluster" : $"node {self.Name} is drained and takes no new NICs",
                    next: identity.Departure != Departure.None ? "kctl node reset" : "attach the NIC on another node, or: kctl node drain --undo");
            }

            if (now.View.NicsOf(network.Uid).FirstOrDefault(n => n.Fact.Name == request.Name && n.Node != self.Id) is { } elsewhere)
            {
                throw new RefusedException(ErrorCode.AlreadyExists, $"NIC '{request.Name}' exists on network '{network.Name}', on node {now.NameOf(elsewhere.Node)}");
            }

            if (set.Records.Count >= MaxNicsPerNode)
            {
                throw new RefusedException(ErrorCode.ResourceExhausted, $"node {self.Name} has {MaxNicsPerNode} NICs");
            }

            IPAddress? given = network.Home is null ? null : LocalAddress(request, network, set);
            string seed = set.FreeSeed(request.Name) ?? throw new RefusedException(
                ErrorCode.ResourceExhausted, $"'{request.Name}' has {AttachmentSet.MaxNicsPerName} NICs on this node, the most one name can have");
            PhysicalAddress mac = request.Mac ?? DerivedNames.Mac(seed);
            if (now.View.NicsOf(network.Uid).FirstOrDefault(n => n.Fact.Mac.Equals(mac)) is { } taken)
            {
                throw MacTaken(mac, taken.Fact.Name, network.Name);
            }

            // Those of this node count from the moment they are stored, before the catalog knows them.
            if (set.Wanted.FirstOrDefault(r => r.Network == network.Uid && r.Mac.Equals(mac)) is { } own)
            {
                throw MacTaken(mac, own.Name, network.Name);
            }

            return new AttachmentRecord
            {
                Id = Uid.NewRandom(),
                Network = network.Uid,
                NetworkName = network.Name,
                Name = request.Name,
                Mac = mac,
                Device = request.Netns is null ? DerivedNames.Tap(seed) : DerivedNames.NamespacePort(seed),
                Netns = request.Netns,
                Ifname = request.Ifname,
                Wanted = request.Address,
                Local = network.Home is not null,
                Address = given,
                AllowSpoofing = request.AllowSpoofing,
            };
        });
        return made ?? SameOrRefused(existing!, request);
    }

    /// <summary>The address on a network of this node alone, decided here and now; null on a bridge network unless one was asked for.</summary>
    private static IPAddress? LocalAddress(NicRequest request, Network network, AttachmentSet set)
    {
        AttachmentRecord[] present = [.. set.Wanted.Where(r => r.Network == network.Uid)];
        if (network.Spec.Ports.Rules.FirstOrDefault(r => r.Nic is null) is { } allowed && present.Length > 0)
        {
            throw new RefusedException(
                ErrorCode.FailedPrecondition,
                $"network '{network.Name}' sends its allowed port {allowed.Port}/{allowed.ProtocolName} to its only NIC, and has one",
                [$"NIC {present[0].Name}"],
                "publish ports with a target instead: kctl create network … --publish PORT:NIC:PORT");
        }

        if (request.Address is { } wanted)
        {
            return Array.Find(present, r => wanted.Equals(r.Address)) is { } holder
                ? throw new RefusedException(ErrorCode.AlreadyExists, $"address {wanted} of network '{network.Name}' belongs to NIC '{holder.Name}'", next: "choose another --ip")
                : wanted;
        }

        if (network.Spec.Type != NetworkType.Nat)
        {
            return null;
        }

        var range = GuestRange.Of(network.Spec);
        return range.Free(present.Select(r => r.Address).OfType<IPAddress>().ToHashSet()) ?? throw new RefusedException(
            ErrorCode.ResourceExhausted,
            $"network '{network.Name}' has no address left: all {range.Size} are in use",
            [$"range: {range.First} to {range.Last}"],
            "detach a NIC");
    }

    private RefusedException Arriving(string nic, string network) => new(
        ErrorCode.FailedPrecondition,
        $"NIC '{nic}' of network '{network}' is being moved to node {self.Name} and is not its own yet",
        next: $"kctl move nic {nic} --network {network} --complete, or --abort");

    private static RefusedException MacTaken(PhysicalAddress mac, string nic, string network) => new(
        ErrorCode.AlreadyExists,
        $"MAC {DerivedNames.MacText(mac)} belongs to NIC '{nic}' on network '{network}'",
        next: "choose another with --mac");

    private AttachmentRecord SameOrRefused(AttachmentRecord existing, NicRequest request) =>
        existing.PreparedFor is not null ? throw Arriving(existing.Name, existing.NetworkName)
        : existing.Netns == request.Netns
        && existing.Ifname == request.Ifname
        && existing.AllowSpoofing == request.AllowSpoofing
        && (request.Mac is null || request.Mac.Equals(existing.Mac))
        && (request.Address is null || request.Address.Equals(existing.Wanted ?? existing.Address))
            ? existing
            : throw new RefusedException(
                ErrorCode.AlreadyExists,
                $"NIC '{existing.Name}' exists on network '{existing.NetworkName}' of node {self.Name}, attached otherwise",
                [$"device: {existing.Device}", $"netns: {existing.Netns ?? "(none)"}", $"mac: {DerivedNames.MacText(existing.Mac)}", $"allow-spoofing: {(existing.AllowSpoofing ? "yes" : "no")}"],
                $"kctl detach nic {existing.Name} --network {existing.NetworkName}");

    private async Task<AttachmentRecord> WithAddressAsync(AttachmentRecord record, CancellationToken token)
    {
        using var limit = new CancellationTokenSource(AddressPatience, time);
        using CancellationTokenSource both = CancellationTokenSource.CreateLinkedTokenSource(token, limit.Token);
        try
        {
            while (true)
            {
                (_, long refusals) = leases.RefusalsChanged.Read();
                (AttachmentSet set, long revision) = table.Current.Read();
                if (set.Records.Values.FirstOrDefault(r => r.Instead == record.Id) is { } heir)
                {
                    // The same NIC, helped out of the emergency reserve.
                    record = heir;
                }

                if (!set.Records.TryGetValue(record.Id, out AttachmentRecord? present) || present.Releasing)
                {
                    throw new RefusedException(ErrorCode.NotFound, $"NIC '{record.Name}' was detached meanwhile");
                }

                if (present.Address is not null)
                {
                    return present;
                }

                if (leases.RefusalOf(record.Id) is { } refusal)
                {
                    table.Change(s => s.Records.TryGetValue(record.Id, out AttachmentRecord? r) ? r with { Releasing = true } : null);
                    throw new RefusedException(
                        CodeOf(refusal.Code),
                        refusal.Text,
                        [$"network: {record.NetworkName}"],
                        refusal.Code == RefusalCode.ResourceExhausted ? $"kctl network reclaim {record.NetworkName} has what was given back given again; kctl get ips --network {record.NetworkName}" : null);
                }

                await Task.WhenAny(table.Current.ChangedSince(revision, both.Token), leases.RefusalsChanged.ChangedSince(refusals, both.Token));
                both.Token.ThrowIfCancellationRequested();
            }
        }
        catch (OperationCanceledException) when (!token.IsCancellationRequested)
        {
            int reserve = catalog.Current.Current.View.NetworksByUid.TryGetValue(record.Network, out Network? network) ? network.Spec.EmergencyReserve : 0;
            throw quorum.NoQuorum(
                $"NIC '{record.Name}' got no address within {AddressPatience.TotalSeconds:0} s{(reserve > 0 ? $", and the emergency reserve of node {self.Name} has none for it" : "")}; it stays PendingAddress and completes by itself",
                "",
                $"kctl detach nic {record.Name} --network {record.NetworkName}");
        }
    }

    private async Task<NicInfo> ReadyAsync(AttachmentRecord record, Network network, CancellationToken token)
    {
        using var limit = new CancellationTokenSource(DevicePatience, time);
        using CancellationTokenSource both = CancellationTokenSource.CreateLinkedTokenSource(token, limit.Token);
        ReconcileStatus state = kernel.Status.Current;
        try
        {
            state = await kernel.Status.WhenAsync(
                s => s.Networks.TryGetValue(network.Name, out NetworkHealth? health)
                    && (!health.IsReady || (health.Nics.TryGetValue(record.Name, out NicHealth? nic) && nic.AttachmentId == record.Key)),
                both.Token);
            if (network.Spec.Type == NetworkType.Nat)
            {
                // A guest that asks for its address at once must find it reserved.
                await services.WhenAsync(s => s.HasAnswerFor(network.Name, record.Key), both.Token);
            }
        }
        catch (OperationCanceledException) when (!token.IsCancellationRequested)
        {
            // Answered below with the state it is in.
        }

        NicInfo info = Describe(record, catalog.Current.Current, state);
        return info.State == nameof(ObjectState.Ready) ? info : throw new RefusedException(
            ErrorCode.FailedPrecondition,
            $"NIC '{record.Name}' has {info.Address} but its device is not ready",
            [info.Reason ?? "the data plane has not come to it yet"],
            $"kctl get nics, kctl plan; or kctl detach nic {record.Name} --network {record.NetworkName}");
    }

    private NicInfo Describe(AttachmentRecord record, CatalogSnapshot now, ReconcileStatus state)
    {
        (ObjectState nic, string? reason) = OwnFacts.StateOf(record, now, state, leases.RefusalOf(record.Id));
        now.View.NetworksByUid.TryGetValue(record.Network, out Network? network);
        return Info(record.Name, record.NetworkName, network, self.Name, record.Mac, record.Address, record.Device, record.Key, nic, record.Netns, record.Ifname, reason, now) with
        {
            AllowSpoofing = record.AllowSpoofing,
            Dropped = [.. state.Drops.Where(d => d.Device == record.Device).Select(d => new NicDrop(d.Reason.ToString().ToLowerInvariant(), d.Count.Packets, d.Count.Bytes))],
        };
    }

    /// <summary>A NIC as its node states it.</summary>
    public NicInfo Describe(HostedNic nic, CatalogSnapshot now)
    {
        now.View.NetworksByUid.TryGetValue(nic.Fact.Network, out Network? network);
        return Info(
            nic.Fact.Name, network?.Name ?? FactKeys.Hex(nic.Fact.Network), network, now.NameOf(nic.Node), nic.Fact.Mac, nic.Fact.Address, nic.Fact.Device,
            FactKeys.Hex(nic.Fact.AttachmentId), nic.Fact.State, nic.Fact.Netns, nic.Fact.Ifname, nic.Fact.Reason, now);
    }

    private NicInfo Info(
        string name, string networkName, Network? network, string node, PhysicalAddress mac, IPAddress? address, string device,
        string attachment, ObjectState state, string? netns, string? ifname, string? reason, CatalogSnapshot now) => new(
            name,
            networkName,
            node,
            DerivedNames.MacText(mac),
            address is null || network is null ? address?.ToString() : $"{address}/{network.Spec.PrefixLength}",
            network?.Spec.Gateway.ToString() ?? "",
            MtuOf(node, network, now),
            device,
            network is null ? "" : DerivedNames.Bridge(network.Name),
            attachment,
            state.ToString(),
            netns,
            ifname,
            reason);

    private int MtuOf(string node, Network? network, CatalogSnapshot now) =>
        !now.View.Nodes.TryGetValue(now.FindNode(node) ?? self.Id, out NodeFact? host) ? 0
        : network?.Home is not null ? host.UnderlayMtu
        : network is not null && Desired.IntentBuilder.IsEncrypted(network) ? Desired.KernelFacts.EncryptedMtu(host.UnderlayMtu, host.Vtep)
        : Desired.KernelFacts.OverlayMtu(host.UnderlayMtu, host.Vtep);

    private RefusedException NotHere(string name, string network)
    {
        CatalogSnapshot now = catalog.Current.Current;
        HostedNic? elsewhere = now.View.Nics.FirstOrDefault(n =>
            n.Node != self.Id && n.Fact.Name == name && now.View.NetworksByUid.TryGetValue(n.Fact.Network, out Network? of) && of.Name == network);
        return elsewhere is null
            ? new RefusedException(ErrorCode.NotFound, $"NIC '{name}' does not exist on network '{network}'", next: "kctl get nics")
            : new RefusedException(
                ErrorCode.FailedPrecondition,
                $"NIC '{name}' of network '{network}' is on node {now.NameOf(elsewhere.Node)}, not on {self.Name}",
                next: $"run the command on node {now.NameOf(elsewhere.Node)}");
    }

    /// <summary>The log's refusals in the API's words.</summary>
    public static ErrorCode CodeOf(RefusalCode code) => code switch
    {
        RefusalCode.InvalidArgument => ErrorCode.InvalidArgument,
        RefusalCode.NotFound => ErrorCode.NotFound,
        RefusalCode.AlreadyExists => ErrorCode.AlreadyExists,
        RefusalCode.FailedPrecondition => ErrorCode.FailedPrecondition,
        RefusalCode.ResourceExhausted => ErrorCode.ResourceExhausted,
        RefusalCode.Unavailable => ErrorCode.Unavailable,
        _ => ErrorCode.Internal,
    };
}
