using Kcore.Daemon.Dataplane.Observed;
using Kcore.Daemon.Dataplane.Plan;
using Kcore.Netlink;
using Kcore.Netlink.Route;

namespace Kcore.Daemon.Dataplane.Apply;

/// <summary>
/// Steps as route messages. Devices made by an earlier message of the same send are addressed by the index chosen for
/// them, so a whole network is one send without reading anything back.
/// </summary>
internal sealed class RouteMessages
{
    private readonly Dictionary<string, int> _indexes;
    private readonly List<(int Message, DataplaneStep Step)> _steps = [];
    private int _lastIndex;

    public RouteMessages(IReadOnlyDictionary<string, int> indexes)
    {
        _indexes = new Dictionary<string, int>(indexes, StringComparer.Ordinal);
        _lastIndex = _indexes.Values.DefaultIfEmpty(0).Max();
    }

    public RouteBatch Batch { get; private set; } = new();

    public int Deletes { get; private set; }

    public bool IsEmpty => _steps.Count == 0;

    /// <summary>
    /// An interface index above all that are in use; when a stranger takes it first, the creation fails and the next
    /// pass chooses again.
    /// </summary>
    public int Reserve() => ++_lastIndex;

    public void Learn(string device, int index)
    {
        _indexes[device] = index;
        _lastIndex = Math.Max(_lastIndex, index);
    }

    /// <exception cref="DataplaneException">There is no such device, because making it failed.</exception>
    public int IndexOf(string device) =>
        _indexes.TryGetValue(device, out int index) ? index : throw new DataplaneException($"device {device} is not there");

    /// <summary>Returns why the step cannot be sent, or null.</summary>
    public string? Add(DataplaneStep step)
    {
        int first = Batch.Count;
        try
        {
            Build(step);
        }
        catch (Exception e) when (e is DataplaneException or ArgumentException)
        {
            return e.Message;
        }

        for (int message = first; message < Batch.Count; message++)
        {
            _steps.Add((message, step));
        }

        return null;
    }

    /// <summary>One result per step, with the first error of its messages that matters.</summary>
    public IEnumerable<StepResult> Results(BatchResult outcome)
    {
        // Thousands of steps without an error are the rule, so each is looked at once. A step's messages stand together.
        Dictionary<int, NetlinkError> errors = outcome.Failures.ToDictionary(f => f.Index, f => f.Error);
        for (int i = 0; i < _steps.Count;)
        {
            DataplaneStep step = _steps[i].Step;
            NetlinkError? error = null;
            for (; i < _steps.Count && ReferenceEquals(_steps[i].Step, step); i++)
            {
                if (error is null && errors.Count > 0 && errors.TryGetValue(_steps[i].Message, out NetlinkError? found) && !IsAlreadyDone(step, found.Errno))
                {
                    error = found;
                }
            }

            yield return new StepResult(step, error is null ? null : Explain(step, error));
        }
    }

    public void Clear()
    {
        Batch = new RouteBatch();
        _steps.Clear();
        Deletes = 0;
    }

    /// <summary>Deleting what is gone is success; so is a second name that is there.</summary>
    private static bool IsAlreadyDone(DataplaneStep step, Errno errno) => step switch
    {
        DataplaneStep.DeleteLink => errno == Errno.ENODEV,
        DataplaneStep.DeleteAddress => errno is Errno.EADDRNOTAVAIL or Errno.ENODEV,
        // With an address that went the route has no source (EINVAL), and the next round adds both.
        DataplaneStep.AddRoute => errno is Errno.EEXIST or Errno.EINVAL or Errno.ENODEV,
        DataplaneStep.DeleteTunnelEntry or DataplaneStep.DeleteBridgeEntry or DataplaneStep.DeleteNeighbour =>
            errno is Errno.ENOENT or Errno.ENODEV or Errno.ESRCH,
        _ => false,
    };

    private static string Explain(DataplaneStep step, NetlinkError error) => (step, error.Errno) switch
    {
        (DataplaneStep.CreateLink { Link: Link.Vxlan vxlan }, Errno.EADDRINUSE) =>
            $"UDP port {vxlan.Port} is taken by another program or tunnel device ({error})",
        (DataplaneStep.CreateLink { Link: Link.Vxlan vxlan }, Errno.EEXIST) =>
            $"VNI {vxlan.Vni} or the name {vxlan.Name} is taken by another device ({error})",
        (DataplaneStep.CreateLink { Link: Link.Vlan vlan }, Errno.EOPNOTSUPP) =>
            $"this kernel has no 802.1Q (VLAN) support, so {vlan.Name} cannot be made ({error})",
        (DataplaneStep.CreateLink { Link: Link.Vlan vlan }, Errno.EEXIST) =>
            $"VLAN {vlan.Id} of {vlan.Parent} or the name {vlan.Name} is taken by another device ({error})",
        (_, Errno.EPERM) => $"not permitted; the daemon needs CAP_NET_ADMIN ({error})",
        _ => $"{PlanRenderer.Line(step).Detail}: {error}",
    };

    private void Build(DataplaneStep step)
    {
        switch (step)
        {
            case DataplaneStep.CreateLink { Link: Link.Bridge link }:
                CreateBridge(link);
                break;
            case DataplaneStep.CreateLink { Link: Link.Vxlan link }:
                CreateVxlan(link);
                break;
            case DataplaneStep.CreateLink { Link: Link.Vlan link }:
                CreateVlan(link);
                break;
            case DataplaneStep.ChangeLink s:
                Change(s);
                break;
            case DataplaneStep.DeleteLink s:
                Batch.DeleteLink(s.Index);
                _indexes.Remove(s.Link.Name);
                Deletes++;
                break;
            case DataplaneStep.AddAltName s:
                Batch.AddAltName(IndexOf(s.AltName.Device), s.AltName.Name);
                break;
            case DataplaneStep.SetPort s:
                Batch.ChangeBridgePort(IndexOf(s.To.Device), new BridgePortChange
                {
                    Learning = s.To.Learning,
                    Locked = s.To.Locked,
                    NeighbourSuppress = s.To.NeighSuppress,
                    Isolated = s.To.Isolated,
                    UnicastFlood = s.To.Floods,
                    MulticastFlood = s.To.Floods,
                    BroadcastFlood = s.To.Floods,
                });
                break;
            case DataplaneStep.AddAddress s:
                Batch.ReplaceAddress(IndexOf(s.Address.Device), s.Address.Local, s.Address.PrefixLength);
                break;
            case DataplaneStep.AddRoute s:
                Batch.PrependRoute(AddressRoutes.Spec(s.Route, IndexOf(s.Device)));
                break;
            case DataplaneStep.DeleteAddress s:
                Batch.DeleteAddress(IndexOf(s.Address.Device), s.Address.Local, s.Address.PrefixLength);
                break;
            case DataplaneStep.AddFlood s:
                Batch.AppendFdbFlood(IndexOf(s.Entry.Device), s.Entry.Destination);
                break;
            case DataplaneStep.SetRemoteMac s:
                Batch.ReplaceFdbUnicast(IndexOf(s.Entry.Device), s.Entry.Mac, s.Entry.Destination);
                break;
            case DataplaneStep.DeleteTunnelEntry { Entry.IsFlood: true } s:
                Batch.DeleteFdbFlood(IndexOf(s.Entry.Device), s.Entry.Destination);
                break;
            case DataplaneStep.DeleteTunnelEntry s:
                Batch.DeleteFdbUnicast(
                    IndexOf(s.Entry.Device), s.Entry.Mac, s.Entry.Destination,
                    s.AlsoFromBridge ? NeighbourFlags.Self | NeighbourFlags.Master : NeighbourFlags.Self);
                break;
            case DataplaneStep.SetBridgeEntry s:
                Batch.ReplaceFdbLocal(IndexOf(s.Entry.Port), s.Entry.Mac);
                break;
            case DataplaneStep.DeleteBridgeEntry s:
                Batch.DeleteFdbLocal(IndexOf(s.Entry.Port), s.Entry.Mac);
                break;
            case DataplaneStep.SetNeighbour s:
                Batch.ReplaceNeighbour(IndexOf(s.Neighbour.Device), s.Neighbour.Address, s.Neighbour.Mac);
                break;
            case DataplaneStep.DeleteNeighbour s:
                Batch.DeleteNeighbour(IndexOf(s.Neighbour.Device), s.Neighbour.Address);
                break;
            default:
                throw new InvalidOperationException($"step {step.GetType().Name} is not a route message");
        }
    }

    private void CreateBridge(Link.Bridge link)
    {
        int index = Reserve();
        Batch.CreateBridge(new BridgeSpec { Name = link.Name, Index = index, Mac = link.Mac, Up = link.Up });
        // Only an MTU set by a message of its own stays when the first port joins; the creation message drops an alias.
        Batch.ChangeLink(index, new LinkChange { Mtu = link.Mtu, Alias = link.Alias });
        Learn(link.Name, index);
    }

    private void CreateVxlan(Link.Vxlan link)
    {
        int index = Reserve();
        Batch.CreateVxlan(new VxlanSpec
        {
            Name = link.Name,
            Index = index,
            Mac = link.Mac,
            Mtu = link.Mtu,
            Vni = link.Vni,
            Local = link.Local!,
            Port = (ushort)link.Port,
            Master = IndexOf(link.Master!),
            Up = link.Up,
        });
        Batch.ChangeLink(index, new LinkChange { Alias = link.Alias });
        Learn(link.Name, index);
    }

    private void CreateVlan(Link.Vlan link)
    {
        int index = Reserve();
        Batch.CreateVlan(new VlanSpec
        {
            Name = link.Name,
            Index = index,
            Parent = IndexOf(link.Parent!),
            Id = (ushort)link.Id,
            Mtu = link.Mtu,
            Master = link.Master is null ? null : IndexOf(link.Master),
            Up = link.Up,
        });
        Batch.ChangeLink(index, new LinkChange { Alias = link.Alias });
        Learn(link.Name, index);
    }

    /// <summary>Only what differs is sent: a repeated MTU or state would raise notifications for nothing.</summary>
    private void Change(DataplaneStep.ChangeLink step)
    {
        Link from = step.From!;
        Link to = step.To;
        if (from is Link.Vxlan f && to is Link.Vxlan t && (!Equals(f.Local, t.Local) || f.Learning != t.Learning))
        {
            Batch.ChangeVxlan(step.Index, new VxlanChange
            {
                Local = Equals(f.Local, t.Local) ? null : t.Local,
                Learning = f.Learning == t.Learning ? null : t.Learning,
            });
        }

        LinkChange change = new()
        {
            Mtu = from.Mtu == to.Mtu ? null : to.Mtu,
            Up = from.Up == to.Up ? null : to.Up,
            Alias = from.Alias == to.Alias ? null : to.Alias,
            Master = from.MasterName == to.MasterName ? null : to.MasterName is null ? 0 : IndexOf(to.MasterName),
            Mac = (from, to) switch
            {
                (Link.Bridge a, Link.Bridge b) when !a.Mac.Equals(b.Mac) => b.Mac,
                (Link.Vxlan a, Link.Vxlan b) when !a.Mac.Equals(b.Mac) => b.Mac,
                _ => null,
            },
        };
        if (change != new LinkChange())
        {
            Batch.ChangeLink(step.Index, change);
        }
    }
}
