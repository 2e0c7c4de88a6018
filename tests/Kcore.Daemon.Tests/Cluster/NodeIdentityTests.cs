using System.Net.NetworkInformation;
using Kcore.Daemon.Cluster;
using Kcore.Daemon.Ipam.Attachments;
using Kcore.Daemon.Storage;
using Kcore.Daemon.Tests.Storage;
using Microsoft.Extensions.Logging.Abstractions;

namespace Kcore.Daemon.Tests.Cluster;

public sealed class NodeIdentityTests : IDisposable
{
    private static readonly ClusterRef Home = new(Guid.Parse("00112233-4455-6677-8899-aabbccddeeff"), 3);

    private readonly TestDatabase _test = new();

    [Fact]
    public void A_node_keeps_its_id_and_counts_its_starts()
    {
        NodeIdentity first = Load();
        _test.Reopen();
        NodeIdentity second = Load();

        Assert.Equal(first.Id, second.Id);
        Assert.Equal(1u, first.BootEpoch);
        Assert.Equal(2u, second.BootEpoch);
        Assert.NotEqual(first.BootNonce, second.BootNonce);
    }

    [Fact]
    public void Of_two_starts_the_later_one_has_the_larger_nonce()
    {
        NodeIdentity first = Load();
        _test.Reopen();

        Assert.True(Load().BootNonce > first.BootNonce);
    }

    [Fact]
    public void A_node_that_yields_its_identity_is_a_new_one_at_the_next_start_that_founds_nothing_and_knows_where_the_others_are()
    {
        NodeIdentity before = Load();
        before.JoinCluster(Home);
        before.RememberContacts(["192.0.2.1:7946"]);
        before.RememberName("node-a");
        before.Replace();
        _test.Reopen();
        NodeIdentity after = Load();

        Assert.NotEqual(before.Id, after.Id);
        Assert.Equal(1u, after.BootEpoch);
        Assert.Null(after.Cluster);
        Assert.True(after.WasEverMember);
        Assert.Null(after.FirstName);
        Assert.Equal(["192.0.2.1:7946"], after.RememberedContacts());
    }

    [Fact]
    public void Duty_and_departure_outlive_a_start()
    {
        NodeIdentity before = Load();
        before.Duty = Duty.Leaving;
        _test.Reopen();
        Assert.Equal((Duty.Leaving, Departure.None), (Load().Duty, Load().Departure));
        Load().Depart();
        _test.Reopen();
        Assert.Equal(Departure.Left, Load().Departure);
    }

    [Fact]
    public void A_node_that_did_not_ask_to_leave_was_removed()
    {
        NodeIdentity node = Load();
        node.Depart();

        Assert.Equal(Departure.Removed, node.Departure);
    }

    [Theory]
    [InlineData(ResetScope.KeepKey, false, false, 0)]
    [InlineData(ResetScope.WithKey, true, false, 0)]
    [InlineData(ResetScope.JoinAnew, false, true, 1)]
    internal void A_reset_makes_another_node_of_it_and_is_done_again_when_it_was_interrupted(ResetScope scope, bool key, bool everMember, int contacts)
    {
        NodeIdentity before = Load();
        before.JoinCluster(Home);
        before.RememberContacts(["192.0.2.1:7946"]);
        before.Duty = Duty.Leaving;
        before.Depart();
        NodeIdentity.WipeIfAsked(new MetaStore(_test.Database), _ => Assert.Fail("nobody asked"));
        before.AskForReset(scope);
        _test.Reopen();
        Assert.Throws<IOException>(() => NodeIdentity.WipeIfAsked(new MetaStore(_test.Database), _ => throw new IOException("power cut")));
        List<bool> asked = [];
        NodeIdentity.WipeIfAsked(new MetaStore(_test.Database), asked.Add);
        NodeIdentity.WipeIfAsked(new MetaStore(_test.Database), _ => Assert.Fail("it was done"));
        NodeIdentity after = Load();

        Assert.Equal([key], asked);
        Assert.NotEqual(before.Id, after.Id);
        Assert.Null(after.Cluster);
        Assert.Equal((Duty.Serving, Departure.None, everMember), (after.Duty, after.Departure, after.WasEverMember));
        Assert.Equal(contacts, after.RememberedContacts().Count);
    }

    [Fact]
    public void A_boot_counter_that_peers_know_to_be_higher_is_kept()
    {
        Load().RaiseBootEpoch(41);
        _test.Reopen();

        Assert.Equal(42u, Load().BootEpoch);
    }

    [Fact]
    public void The_cluster_is_remembered_and_having_been_in_one_is_never_forgotten()
    {
        NodeIdentity node = Load();
        Assert.Null(node.Cluster);
        Assert.False(node.WasEverMember);

        node.JoinCluster(Home);
        _test.Reopen();
        node = Load();
        Assert.Equal(Home, node.Cluster);

        node.LeaveCluster();
        _test.Reopen();
        node = Load();
        Assert.Null(node.Cluster);
        Assert.True(node.WasEverMember);
    }

    [Fact]
    public void A_cloned_disk_is_a_fresh_node_that_owns_nothing_of_its_origin()
    {
        NodeIdentity original = Load("machine-1");
        original.JoinCluster(Home);
        original.RaiseBootEpoch(9);
        var attachments = new AttachmentTable(_test.Database);
        attachments.Change(_ => new AttachmentRecord
        {
            Id = 1,
            Network = 2,
            NetworkName = "prod",
            Name = "web-01",
            Mac = PhysicalAddress.Parse("52-54-00-0B-9D-9F"),
            Device = "tap-0b9d9f06",
            Address = new([10, 88, 0, 2]),
        });
        _test.Reopen();

        NodeIdentity clone = Load("machine-2");

        Assert.NotEqual(original.Id, clone.Id);
        Assert.Equal(1u, clone.BootEpoch);
        Assert.Null(clone.Cluster);
        Assert.False(clone.WasEverMember);

        // The machine it was copied from goes on using the address.
        Assert.Empty(new AttachmentTable(_test.Database).Current.Current.Records);

        _test.Reopen();
        Assert.Equal(clone.Id, Load("machine-2").Id);
    }

    [Theory]
    [InlineData("", "machine-1")]
    [InlineData("machine-1", "")]
    public void A_machine_without_an_id_says_nothing_about_cloning(string before, string after) =>
        Assert.Equal(Load(before).Id, Load(after).Id);

    public void Dispose() => _test.Dispose();

    private NodeIdentity Load(string machine = "machine-1") => NodeIdentity.Load(new MetaStore(_test.Database), machine, NullLogger.Instance);
}
