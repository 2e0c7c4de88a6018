using System.Net;
using Kcore.Daemon.Ipam.Attachments;
using Kcore.Daemon.Ipam.Reserve;
using Kcore.Daemon.Storage;
using Kcore.Daemon.Tests.Ipam.Attachments;
using Kcore.Daemon.Tests.Storage;

namespace Kcore.Daemon.Tests.Ipam.Reserve;

public sealed class ReserveStoreTests : IDisposable
{
    private readonly TestDatabase _test = new();

    [Fact]
    public void A_used_address_is_used_and_its_nic_has_it_also_after_a_crash()
    {
        (ReserveStore store, AttachmentTable table) = Open();
        table.Change(_ => AttachmentTableTests.Record(1));
        Fill(store);
        AttachmentRecord? helped = store.Take(table, 1, _ => false);

        Assert.Equal(("10.250.0.254", 7ul, (UInt128)1), (helped!.Address!.ToString(), helped.Grant, helped.Instead));
        Assert.NotEqual((UInt128)1, helped.Id);
        Assert.Equal(helped, Assert.Single(table.Current.Current.Wanted));
        Assert.True(table.Current.Current.Records[1].Releasing);

        (ReserveStore again, AttachmentTable stored) = Open(_test.Reopen());
        Assert.Equal(store.Current.Current.Holder, again.Current.Current.Holder);
        Assert.Equal(store.Current.Current.Rows, again.Current.Current.Rows);
        Assert.Equal(helped, stored.Current.Current.Records[helped.Id]);
        stored.Change(_ => AttachmentTableTests.Record(2, "web-02"));
        Assert.Equal("10.250.0.253", again.Take(stored, 2, _ => false)!.Address!.ToString());
        stored.Change(_ => AttachmentTableTests.Record(3, "web-03"));
        Assert.Null(again.Take(stored, 3, _ => false));
    }

    [Fact]
    public void Nothing_is_used_when_the_disk_refuses_it()
    {
        (ReserveStore store, AttachmentTable table) = Open();
        table.Change(_ => AttachmentTableTests.Record(1));
        Fill(store);
        _test.Database.Write(c => SqlStatement.Run(c, "ALTER TABLE reserve RENAME TO hidden"));

        Assert.Throws<StorageException>(() => store.Take(table, 1, _ => false));
        Assert.Throws<StorageException>(() => store.Change(b => b.GivenUp(1)));

        Assert.True(store.Current.Current.HasAny(1));
        Assert.Equal(AttachmentTableTests.Record(1), Assert.Single(table.Current.Current.Records.Values));
        Assert.Equal(AttachmentTableTests.Record(1), Assert.Single(new AttachmentTable(_test.Reopen()).Current.Current.Records.Values));
    }

    [Fact]
    public void Who_was_released_or_has_an_address_by_now_takes_none()
    {
        (ReserveStore store, AttachmentTable table) = Open();
        Fill(store);
        table.Change(_ => AttachmentTableTests.Record(1) with { Releasing = true });
        table.Change(_ => AttachmentTableTests.Record(2, address: "10.250.0.2"));

        Assert.Null(store.Take(table, 1, _ => false));
        Assert.Null(store.Take(table, 2, _ => false));
        Assert.Null(store.Take(table, 3, _ => false));
        Assert.All(store.Current.Current.Rows.Values, r => Assert.Equal(ReserveUse.Available, r.Use));
    }

    [Fact]
    public void A_wish_is_met_only_by_that_address_and_none_that_a_nic_here_has()
    {
        (ReserveStore store, AttachmentTable table) = Open();
        Fill(store);
        table.Change(_ => AttachmentTableTests.Record(1) with { Wanted = IPAddress.Parse("10.250.0.9") });
        Assert.Null(store.Take(table, 1, _ => false));
        table.Change(_ => AttachmentTableTests.Record(2) with { Wanted = IPAddress.Parse("10.250.0.253") });
        Assert.Equal("10.250.0.253", store.Take(table, 2, _ => false)!.Address!.ToString());
        table.Change(_ => AttachmentTableTests.Record(3, address: "10.250.0.254"));
        table.Change(_ => AttachmentTableTests.Record(4));
        Assert.Null(store.Take(table, 4, _ => false));
    }

    [Fact]
    public void A_record_of_which_a_part_is_lost_is_followed_by_an_empty_one_of_another_name()
    {
        (ReserveStore store, _) = Open();
        Fill(store);
        Guid before = store.Current.Current.Holder;
        _test.Database.Write(c => SqlStatement.Run(c, "UPDATE reserve SET network=x'01' WHERE address=(SELECT max(address) FROM reserve)"));

        ReserveBook after = Open(_test.Reopen()).Store.Current.Current;
        Assert.NotEqual(before, after.Holder);
        Assert.Empty(after.Rows);
        Assert.Equal(after.Holder, Open(_test.Reopen()).Store.Current.Current.Holder);
    }

    [Theory]
    [InlineData("DELETE FROM meta WHERE key='reserve.holder'")]
    [InlineData("UPDATE reserve SET use=9")]
    [InlineData("UPDATE reserve SET grant_index=0")]
    [InlineData("UPDATE reserve SET holder=zeroblob(16)")]
    [InlineData("UPDATE reserve SET attachment=x''")]
    [InlineData("UPDATE reserve SET address=-1")]
    public void Whatever_is_damaged_nothing_of_it_is_used(string damage)
    {
        (ReserveStore store, _) = Open();
        Fill(store);
        _test.Database.Write(c => SqlStatement.Run(c, damage.Replace("address=-1", "address=-address", StringComparison.Ordinal)));

        ReserveBook after = Open(_test.Reopen()).Store.Current.Current;
        Assert.NotEqual(store.Current.Current.Holder, after.Holder);
        Assert.Empty(after.Rows);
    }

    [Fact]
    public void A_copied_disk_and_a_reset_leave_no_reserve()
    {
        (ReserveStore store, _) = Open();
        Fill(store);
        new MetaStore(_test.Database).StartAfresh();

        ReserveBook after = Open(_test.Reopen()).Store.Current.Current;
        Assert.NotEqual(store.Current.Current.Holder, after.Holder);
        Assert.Empty(after.Rows);
    }

    [Fact]
    public void What_is_settled_is_gone_from_the_disk()
    {
        (ReserveStore store, _) = Open();
        Fill(store);
        store.Change(b => b.Settled(b.Rows.Values.First()));
        store.Change(b => b.GivenUp(1));

        ReserveRow left = Assert.Single(Open(_test.Reopen()).Store.Current.Current.Rows.Values);
        Assert.Equal(ReserveUse.GivenUp, left.Use);
    }

    public void Dispose() => _test.Dispose();

    private static void Fill(ReserveStore store) => store.Change(b => b.Told(1, [ReserveBookTests.Grant(254, 7), ReserveBookTests.Grant(253, 7)]));

    private (ReserveStore Store, AttachmentTable Table) Open(StateDatabase? database = null)
    {
        database ??= _test.Database;
        return (new ReserveStore(database, new MetaStore(database)), new AttachmentTable(database));
    }
}
